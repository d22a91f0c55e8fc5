//! Files that commands write: never over somebody else's, and the service's user can read them.

use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::Path;

use anyhow::{Context as _, bail};

/// Writes a file that is not there yet.
pub(crate) fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!("{} exists already; move it away first", path.display()),
        Err(error) => return Err(error).with_context(cannot),
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half of it would be in the way of the next try.
        let _ = std::fs::remove_file(path);
    }
    written.with_context(cannot)
}

/// Writes another text into a file, whole or not at all; mode and owner stay.
pub(crate) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    // A rename would put a file where a link is.
    let path = path.canonicalize().with_context(cannot)?;
    let folder = path.parent().with_context(cannot)?;
    let before = std::fs::metadata(&path).with_context(cannot)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    file.as_file().set_permissions(Permissions::from_mode(before.mode() & 0o7777)).with_context(cannot)?;
    same_owner(file.path(), &path)?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(&path).with_context(cannot)?;
    Ok(())
}

/// Gives a file that we made to whom another belongs: root sets up what the service's own user must read.
pub(crate) fn same_owner(path: &Path, like: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot give {} to the owner of {}", path.display(), like.display());
    let (ours, theirs) = (std::fs::symlink_metadata(path).with_context(cannot)?, std::fs::metadata(like).with_context(cannot)?);
    if (ours.uid(), ours.gid()) == (theirs.uid(), theirs.gid()) {
        return Ok(());
    }
    lchown(path, Some(theirs.uid()), Some(theirs.gid())).with_context(cannot)
}
