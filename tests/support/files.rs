//! The files of this package, as a test reads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The texts of all files with this extension below a folder of the package, by their paths in it.
pub(crate) fn files(folder: &str, extension: &str) -> BTreeMap<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(package.join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("its kind").is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.insert(path, fs::read_to_string(entry.path()).expect("a text"));
            }
        }
    }
    found
}
