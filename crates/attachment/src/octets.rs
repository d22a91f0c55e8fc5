//! Numbers and places in octets that were written by others: whatever lies outside is not there.

/// An octet at a place.
pub(crate) fn u8_at(octets: &[u8], at: usize) -> Option<usize> {
    octets.get(at).copied().map(usize::from)
}

/// Two octets at a place, little-endian.
pub(crate) fn u16_at(octets: &[u8], at: usize) -> Option<usize> {
    let found: [u8; 2] = octets.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(usize::from(u16::from_le_bytes(found)))
}

/// Four octets at a place, little-endian.
pub(crate) fn u32_at(octets: &[u8], at: usize) -> Option<usize> {
    let found: [u8; 4] = octets.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(found)).ok()
}

/// Zeros between two places, as far as there is anything.
pub(crate) fn clear(octets: &mut [u8], from: usize, to: usize) {
    let to = to.min(octets.len());
    if let Some(place) = octets.get_mut(from..to) {
        place.fill(0);
    }
}

/// Octets over those at a place; none where they do not fit.
pub(crate) fn put(octets: &mut [u8], at: usize, new: &[u8]) {
    if let Some(place) = octets.get_mut(at..at.saturating_add(new.len())) {
        place.copy_from_slice(new);
    }
}
