//! What is known of each change, in files that a later run reads.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
};

use crate::change::Change;

/// The results, and where they are.
pub(crate) struct Results {
    root: PathBuf,
    done: HashSet<String>,
}

impl Results {
    /// Reads the results of former runs. Changes that were missed are tried again.
    pub(crate) fn open(root: PathBuf) -> Self {
        let mut done = HashSet::new();
        for folder in fs::read_dir(&root).into_iter().flatten().flatten() {
            for name in ["noticed.txt", "unviable.txt"] {
                let text = fs::read_to_string(folder.path().join(name)).unwrap_or_default();
                done.extend(text.lines().map(|line| line.split('\t').next().unwrap_or(line).to_owned()));
            }
            let _ = fs::remove_file(folder.path().join("missed.txt"));
        }
        Self { root, done }
    }

    pub(crate) fn is_done(&self, change: &Change) -> bool {
        self.done.contains(&change.name)
    }

    /// Notes a change, and the test that noticed it.
    pub(crate) fn noticed(&mut self, change: &Change, by: &str) -> io::Result<()> {
        self.note(change, "noticed.txt", by)
    }

    /// Notes a change that does not compile, and what the compiler says.
    pub(crate) fn unviable(&mut self, change: &Change, why: &str) -> io::Result<()> {
        self.note(change, "unviable.txt", why)
    }

    /// Notes a change that no test noticed.
    pub(crate) fn missed(&mut self, change: &Change) -> io::Result<()> {
        self.note(change, "missed.txt", "")
    }

    fn note(&mut self, change: &Change, name: &str, why: &str) -> io::Result<()> {
        self.done.insert(change.name.clone());
        let folder = self.root.join(change.file.replace('/', "-"));
        fs::create_dir_all(&folder)?;
        let mut file = OpenOptions::new().create(true).append(true).open(folder.join(name))?;
        let why = why.lines().next().unwrap_or_default();
        let line = if why.is_empty() { change.name.clone() } else { format!("{}\t{why}", change.name) };
        writeln!(file, "{line}")
    }
}
