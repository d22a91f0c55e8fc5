//! The folder of everything that the service keeps: made for its owner alone, and used by one process.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::config::Config;

/// Makes the folder where it is missing.
pub(crate) fn make(config: &Config) -> anyhow::Result<()> {
    check(config)?;
    // What is in it names people: nobody else on the machine may read it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .with_context(|| format!("data_dir {}: cannot be made", config.data_dir.display()))?;
    Ok(())
}

/// Whether the folder of data can be written, or made where it is to be. Makes nothing.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    let folder = config.data_dir.as_path();
    let remedy = "run it as the user that runs the service, or give the folder to that user";
    // The nearest folder above that is there; a relative path begins where we are.
    let mut above = folder.ancestors().map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    let Some(present) = above.find(|path| path.symlink_metadata().is_ok()) else {
        bail!("data_dir {}: no folder above it can be looked into; {remedy}", folder.display());
    };
    if !present.is_dir() {
        bail!("data_dir {}: {} is no folder that can be used; {remedy}, or choose another", folder.display(), present.display());
    }
    if let Err(error) = tempfile::tempfile_in(present) {
        let what = if present == folder { "cannot be written" } else { "cannot be made" };
        bail!("data_dir {}: {what}: {error}; {remedy}", folder.display());
    }
    Ok(())
}

/// The database names people, and its files are made as the umask allows: the folder keeps others out.
pub(crate) fn warn_of_onlookers(config: &Config) {
    let folder = &config.data_dir;
    let mode = std::fs::metadata(folder).map_or(0, |metadata| metadata.mode() & 0o777);
    if mode & 0o077 != 0 {
        tracing::warn!("data_dir {} has mode {mode:03o}: others can look into it; chmod 700 {}", folder.display(), folder.display());
    }
}

/// One service a data folder: two would take each other's leases up.
pub(crate) fn lock(config: &Config) -> anyhow::Result<File> {
    let path = config.data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("data_dir {} is in use by another tradepost; stop it or choose another folder", config.data_dir.display());
    }
    Ok(file)
}
