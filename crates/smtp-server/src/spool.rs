//! A message while it arrives: in memory while small, in an unlinked file while large.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

/// What a session holds in memory before it spools.
const MEMORY_BYTES: usize = 128 << 10;

#[derive(Default)]
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<std::fs::File>,
    length: usize,
}

impl Spool {
    /// Appends; a write of at most one read buffer to the page cache.
    pub(crate) fn append(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.length += octets.len();
        if let Some(file) = &mut self.file {
            return file.write_all(octets);
        }
        self.memory.extend_from_slice(octets);
        if self.memory.len() > MEMORY_BYTES {
            let mut file = tempfile::tempfile()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        Ok(())
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The whole message, once it is complete and there is room to work on it.
    pub(crate) fn take(&mut self) -> std::io::Result<Arc<[u8]>> {
        let spool = std::mem::take(self);
        match spool.file {
            None => Ok(spool.memory.into()),
            Some(mut file) => {
                let mut octets = Vec::with_capacity(spool.length);
                file.seek(SeekFrom::Start(0))?;
                file.read_to_end(&mut octets)?;
                Ok(octets.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_leave_memory_and_come_back_whole() {
        let mut spool = Spool::default();
        let piece = vec![b'x'; 50_000];
        for _ in 0..10 {
            spool.append(&piece).unwrap();
        }
        assert!(spool.file.is_some() && spool.memory.is_empty());
        assert_eq!(spool.take().unwrap().len(), 500_000);
        assert_eq!(spool.length(), 0);
    }
}
