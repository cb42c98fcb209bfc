//! What is known of each change, in files that a later run reads.

use std::{
    collections::{HashSet, VecDeque},
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
};

use crate::change::Change;

/// The results, and where they are.
pub(crate) struct Results {
    root: PathBuf,
    done: HashSet<String>,
    /// The files of changes, and the tests that noticed them.
    pub(crate) best: VecDeque<(String, String)>,
}

impl Results {
    /// Reads the results of former runs. Changes that were missed are tried again.
    pub(crate) fn open(root: PathBuf) -> Self {
        let (mut done, mut best) = (HashSet::new(), VecDeque::new());
        for folder in fs::read_dir(&root).into_iter().flatten().flatten() {
            for name in ["noticed.txt", "unviable.txt"] {
                let text = fs::read_to_string(folder.path().join(name)).unwrap_or_default();
                for line in text.lines() {
                    let (change, why) = line.split_once('\t').unwrap_or((line, ""));
                    done.insert(change.to_owned());
                    let noticed = (change.split(':').next().unwrap_or_default().to_owned(), why.to_owned());
                    if name == "noticed.txt" && !best.contains(&noticed) {
                        best.push_front(noticed);
                    }
                }
            }
            let _ = fs::remove_file(folder.path().join("missed.txt"));
        }
        Self { root, done, best }
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
