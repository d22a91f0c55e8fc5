//! The object store in a folder: one file an object, written, synced and renamed into place.
//!
//! Invariant: when `put` returns, the file's bytes and its name survive a power cut. A crash leaves at most
//! a file that no commit names, in `tmp/`, which is taken away a day later. Several processes may share a folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use store::{ObjectName, Objects, StoreError, StoreFuture};
use tokio::fs;
use tokio::io::AsyncWriteExt;

/// A temporary file that is older was left by a crash.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);

/// Objects below one folder, spread over 256 subfolders.
pub struct FileObjects {
    root: PathBuf,
}

impl FileObjects {
    /// Makes the folder where it is missing and takes away what a crash left long ago.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be made or written.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let temporary = root.join("tmp");
        std::fs::create_dir_all(&temporary)?;
        for entry in std::fs::read_dir(&temporary)?.flatten() {
            let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
            // What is younger may be another process's work under way.
            if age.is_some_and(|age| age > LEFT_BEHIND) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(Self { root: root.to_owned() })
    }

    fn folder(&self, name: &ObjectName) -> PathBuf {
        self.root.join(&name.as_str()[..2])
    }

    async fn write(&self, name: &ObjectName, sealed: &[u8]) -> Result<(), StoreError> {
        let folder = self.folder(name);
        if !fs::try_exists(&folder).await? {
            fs::create_dir_all(&folder).await?;
            sync_folder(&self.root).await?;
        }
        let temporary = self.root.join("tmp").join(name.as_str());
        let mut file = fs::File::create(&temporary).await?;
        file.write_all(sealed).await?;
        file.sync_all().await?;
        fs::rename(&temporary, folder.join(name.as_str())).await?;
        sync_folder(&folder).await
    }
}

/// A rename is durable when its folder is synced.
async fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    Ok(fs::File::open(folder).await?.sync_all().await?)
}

impl Objects for FileObjects {
    fn put<'a>(&'a self, name: &'a ObjectName, sealed: Vec<u8>) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.write(name, &sealed).await })
    }

    fn get<'a>(&'a self, name: &'a ObjectName) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            match fs::read(self.folder(name).join(name.as_str())).await {
                Ok(sealed) => Ok(Some(sealed)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_put_is_found_and_work_of_others_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FileObjects::open(folder.path()).unwrap();
        let name = ObjectName::new(&[7; 32]);
        assert_eq!(objects.get(&name).await.unwrap(), None);
        objects.put(&name, b"sealed".to_vec()).await.unwrap();
        std::fs::write(folder.path().join("tmp/left"), b"x").unwrap();
        let again = FileObjects::open(folder.path()).unwrap();
        assert_eq!(again.get(&name).await.unwrap().as_deref(), Some(&b"sealed"[..]));
        assert!(folder.path().join("tmp/left").exists(), "it may be another process's");
    }
}
