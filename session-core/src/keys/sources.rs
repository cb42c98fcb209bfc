//! Where the secrets of an application come from: the environment, files, and the build directory of a checkout.

use std::{
    env,
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use zeroize::Zeroizing;

use super::{A_FILE, KeyError, KeyErrorKind, Keys, Secret};
use crate::{base64url::base64url, id::fill};

impl Keys {
    /// Reads the secret from the environment variable `variable`, and older secrets from `variable` + `_PREVIOUS`.
    ///
    /// Docker and systemd put secrets into files: instead of the secret, the variable `variable` + `_FILE` may have the
    /// path of a file with the secret, and `variable` + `_PREVIOUS_FILE` that of a file with the older ones.
    ///
    /// The older secrets are separated by commas or line breaks, and may be missing. White space around a secret is
    /// ignored, and an empty variable counts as missing.
    ///
    /// # Errors
    ///
    /// Returns an error if the secret is missing or contains a comma, if a variable and its `_FILE` are both set, if a
    /// file cannot be read, or if [`Keys::new`] or [`Keys::with_fallback`] refuses one of the secrets. The sentence
    /// names the variable.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{KeyErrorKind, Keys};
    ///
    /// // As a shell would: export SESSION_SECRET=$(openssl rand -base64 48)
    /// // or with a file: export SESSION_SECRET_FILE=/run/secrets/session
    /// let error = Keys::from_env("A_VARIABLE_THAT_IS_NOT_SET").unwrap_err();
    /// assert_eq!(error.kind(), KeyErrorKind::Missing);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "A_VARIABLE_THAT_IS_NOT_SET is not set or empty; make a good one with `openssl rand -base64 48`"
    /// );
    /// ```
    pub fn from_env(variable: &str) -> Result<Self, KeyError> {
        Self::from_variables(variable, |name| env::var_os(name))
    }

    /// Reads the secret from a file. White space around it is ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, if it is empty or is a text with a comma, or if [`Keys::new`]
    /// refuses the secret. The sentence does not show the path, because a secret may have been passed by mistake.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{KeyErrorKind, Keys};
    ///
    /// let file = std::env::temp_dir().join(format!("session-secret-{}", std::process::id()));
    /// std::fs::write(&file, "o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E\n")?;
    /// assert!(Keys::from_file(&file).is_ok());
    /// std::fs::remove_file(&file)?;
    ///
    /// let error = Keys::from_file(&file).unwrap_err();
    /// assert_eq!(error.kind(), KeyErrorKind::Unreadable { reason: std::io::ErrorKind::NotFound });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        Self::from_text(&read(path.as_ref(), A_FILE)?, A_FILE)
    }

    /// Returns keys for a laptop: the secret is random, and stays the same when the application starts again.
    ///
    /// The secret is kept in the file `session-secret` in cargo's target directory, or beside the executable if that is
    /// elsewhere. Each checkout so has its own, and `cargo clean` ends its sessions. Do not copy the file to a server.
    ///
    /// # Errors
    ///
    /// Returns an error in a release build, and if the file can neither be read nor written.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{KeyErrorKind, Keys};
    ///
    /// match Keys::for_development() {
    ///     Ok(keys) => assert_eq!(format!("{keys:?}"), "Keys { secrets: 1 }"),
    ///     Err(error) => assert_eq!(error.kind(), KeyErrorKind::NotForProduction), // a release build
    /// }
    /// ```
    pub fn for_development() -> Result<Self, KeyError> {
        if !cfg!(debug_assertions) {
            return Err(KeyError::new(KeyErrorKind::NotForProduction, DEVELOPMENT));
        }
        let directory = env::current_exe().map(|executable| build_directory(&executable).to_owned());
        directory.and_then(|directory| Self::kept_in(&directory)).map_err(|error| unreadable(&error, DEVELOPMENT))
    }

    pub(super) fn from_variables(variable: &str, read: impl Fn(&str) -> Option<OsString>) -> Result<Self, KeyError> {
        let (current, origin) =
            value(variable, &read)?.ok_or_else(|| KeyError::new(KeyErrorKind::Missing, variable))?;
        let keys = Self::from_text(&current, &origin)?;
        let Some((previous, origin)) = value(&format!("{variable}_PREVIOUS"), &read)? else { return Ok(keys) };
        let mut previous = previous.split(|byte| b",\r\n".contains(byte)).map(<[u8]>::trim_ascii);
        previous
            .try_fold(keys, |keys, old| if old.is_empty() { Ok(keys) } else { keys.and(Secret::new(old, &origin)?) })
    }

    /// Creates keys from a text with one secret.
    fn from_text(text: &[u8], origin: &str) -> Result<Self, KeyError> {
        // A file may hold bytes that are no text, and any of them may be a comma.
        if text.is_ascii() && text.contains(&b',') {
            return Err(KeyError::new(KeyErrorKind::Comma, origin));
        }
        Ok(Self { secrets: [Secret::new(text.trim_ascii(), origin)?].into() })
    }

    /// Reads the secret that is kept in a directory, or creates it.
    fn kept_in(directory: &Path) -> io::Result<Self> {
        let file = directory.join(DEVELOPMENT_FILE);
        for _ in 0..ATTEMPTS {
            match fs::read(&file).map(Zeroizing::new) {
                Ok(text) => match Self::from_text(&text, DEVELOPMENT) {
                    Ok(keys) => return Ok(keys),
                    Err(_) => fs::remove_file(&file)?,
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => create(&file)?,
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

/// The text of a secret, and the name of the variable that had it.
type Found = (Zeroizing<Vec<u8>>, String);

/// Returns the value of a variable, or of the file that its `_FILE` names.
fn value(variable: &str, read_variable: &impl Fn(&str) -> Option<OsString>) -> Result<Option<Found>, KeyError> {
    let of_file = format!("{variable}_FILE");
    let text = read_variable(variable).map(|text| Zeroizing::new(text.into_encoded_bytes()));
    let text = text.filter(|text| !text.trim_ascii().is_empty());
    let path = read_variable(&of_file).filter(|path| !path.as_encoded_bytes().trim_ascii().is_empty());
    match (text, path) {
        (Some(_), Some(_)) => Err(KeyError::new(KeyErrorKind::VariableAndFile, variable)),
        (Some(text), None) => Ok(Some((text, variable.to_owned()))),
        (None, Some(path)) => read(Path::new(&path), &of_file).map(|text| Some((text, of_file))),
        (None, None) => Ok(None),
    }
}

fn read(path: &Path, origin: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    fs::read(path).map(Zeroizing::new).map_err(|error| unreadable(&error, origin))
}

fn unreadable(error: &io::Error, origin: &str) -> KeyError {
    KeyError::new(KeyErrorKind::Unreadable { reason: error.kind() }, origin)
}

/// Returns cargo's target directory, which cargo marks with a file, or the directory of the executable.
fn build_directory(executable: &Path) -> &Path {
    let mut directories = executable.ancestors().skip(1).take(TARGET_LEVELS);
    let own = executable.parent().unwrap_or(executable);
    directories.find(|directory| directory.join("CACHEDIR.TAG").is_file()).unwrap_or(own)
}

/// Creates the file with a new secret, as a whole or not at all. Leaves a file that another process has created.
fn create(file: &Path) -> io::Result<()> {
    let mut random = Zeroizing::new([0; 64]);
    fill(random.as_mut()).map_err(io::Error::other)?;
    let (secret, name) = random.split_at(48);
    let part = file.with_extension(base64url(name));
    let written = write_private(&part, &Zeroizing::new(base64url(secret))).and_then(|()| place(&part, file));
    let _ = fs::remove_file(&part);
    written
}

fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())
}

/// Gives a complete file its name. A link never replaces a file, so that of two processes that start together both read
/// the same secret. Some file systems have no links.
fn place(part: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(part, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => fs::rename(part, file),
        Ok(()) => Ok(()),
    }
}

const DEVELOPMENT: &str = "the development secret";
const DEVELOPMENT_FILE: &str = "session-secret";
/// How often the file of the development secret is read. Each time but the last, a missing or damaged file is replaced.
const ATTEMPTS: usize = 4;
/// How many directories above the executable may be cargo's target directory: `deps`, `debug`, the platform and itself.
const TARGET_LEVELS: usize = 4;

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, path::PathBuf};

    use super::*;

    const GOOD: &str = "o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E";
    const OTHER: &str = "V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E";
    const THIRD: &str = "Zr4kT8mQ2xW6vB9nL3cF7hJ1pS5dG0yA";

    /// A directory of one test, which is removed in the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            let mut name = [0; 12];
            fill(&mut name).unwrap();
            let path = env::temp_dir().join(format!("session-core-{}", base64url(&name)));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    /// Reads keys from an environment with these variables. Returns the number of secrets, or the text of the error.
    fn from_variables(variables: &[(&str, &str)]) -> Result<usize, String> {
        let read =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Keys::from_variables("SECRET", read).map(|keys| keys.secrets.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_gives_the_secret_and_those_before_it() {
        assert_eq!(from_variables(&[("SECRET", GOOD)]), Ok(1));
        assert_eq!(from_variables(&[("SECRET", &format!(" {GOOD}\n")), ("SECRET_PREVIOUS", "")]), Ok(1));
        let previous = format!(" {OTHER} , ,{GOOD},\n{THIRD}\r\n");
        assert_eq!(from_variables(&[("SECRET", GOOD), ("SECRET_PREVIOUS", &previous)]), Ok(3));
    }

    #[test]
    fn files_give_the_secret_and_those_before_it() {
        let directory = Directory::new();
        let secret = directory.file("secret", format!("{GOOD}\n"));
        let previous = directory.file("previous", format!("{OTHER}\n{THIRD}\n"));
        assert_eq!(from_variables(&[("SECRET_FILE", &secret)]), Ok(1));
        assert_eq!(from_variables(&[("SECRET", " "), ("SECRET_FILE", &secret)]), Ok(1));
        assert_eq!(from_variables(&[("SECRET_FILE", &secret), ("SECRET_PREVIOUS_FILE", &previous)]), Ok(3));
        assert_eq!(from_variables(&[("SECRET", GOOD), ("SECRET_PREVIOUS_FILE", &previous)]), Ok(3));
        assert_eq!(from_variables(&[("SECRET_FILE", &secret), ("SECRET_PREVIOUS", OTHER)]), Ok(2));
        let keys = (Keys::from_file(&secret).unwrap(), Keys::new(GOOD).unwrap());
        assert!(keys.0.secrets[0].is(&keys.1.secrets[0]));
        let bytes: Vec<u8> = (0..64).map(|n: u8| n.wrapping_mul(151) ^ 0xb2).chain(*b",").collect();
        assert!(Keys::from_file(directory.file("bytes", bytes)).is_ok());
    }

    #[test]
    fn what_is_wrong_with_the_environment_names_the_variable_and_the_remedy() {
        let directory = Directory::new();
        let (secret, short) = (directory.file("secret", GOOD), directory.file("short", "short"));
        let (empty, comma) = (directory.file("empty", " \n"), format!("{GOOD},{OTHER}"));
        let two = directory.file("two", &comma);
        let missing = directory.0.join("missing").to_str().unwrap().to_owned();
        let make = "; make a good one with `openssl rand -base64 48`";
        for (variables, sentence) in [
            (&[("SECRET_PREVIOUS", GOOD)][..], format!("SECRET is not set or empty{make}")),
            (&[("SECRET", " ")], format!("SECRET is not set or empty{make}")),
            (&[("SECRET", "short")], format!("SECRET has 5 bytes, but needs at least 32{make}")),
            (
                &[("SECRET", GOOD), ("SECRET_PREVIOUS", "short")],
                format!("SECRET_PREVIOUS has 5 bytes, but needs at least 32{make}"),
            ),
            (&[("SECRET_FILE", &short)], format!("SECRET_FILE has 5 bytes, but needs at least 32{make}")),
            (&[("SECRET_FILE", &empty)], format!("SECRET_FILE names a file that is empty{make}")),
            (
                &[("SECRET", GOOD), ("SECRET_PREVIOUS_FILE", &short)],
                format!("SECRET_PREVIOUS_FILE has 5 bytes, but needs at least 32{make}"),
            ),
            (
                &[("SECRET", &comma)],
                "SECRET contains a comma; older secrets belong in SECRET_PREVIOUS, where commas separate them"
                    .to_owned(),
            ),
            (
                &[("SECRET_FILE", &two)],
                "SECRET_FILE contains a comma; older secrets belong in SECRET_PREVIOUS, where commas separate them"
                    .to_owned(),
            ),
            (
                &[("SECRET_FILE", &missing)],
                "SECRET_FILE names a file that cannot be opened (no such file or directory); check its path and its permissions"
                    .to_owned(),
            ),
            (
                &[("SECRET", GOOD), ("SECRET_FILE", &secret)],
                "SECRET and SECRET_FILE are both set; remove one of them".to_owned(),
            ),
            (
                &[("SECRET", GOOD), ("SECRET_PREVIOUS", OTHER), ("SECRET_PREVIOUS_FILE", &secret)],
                "SECRET_PREVIOUS and SECRET_PREVIOUS_FILE are both set; remove one of them".to_owned(),
            ),
        ] {
            assert_eq!(from_variables(variables), Err(sentence));
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_has_its_remedy() {
        let directory = Directory::new();
        let refused = |content: &str| Keys::from_file(directory.file("secret", content)).unwrap_err().to_string();
        assert_eq!(
            refused(&format!("{GOOD},{OTHER}")),
            "the file of the secret contains a comma; add older secrets with `Keys::with_fallback`"
        );
        assert_eq!(
            Keys::from_file(directory.0.join("missing")).unwrap_err().to_string(),
            "the file of the secret cannot be opened (no such file or directory); check its path and its permissions"
        );
        assert_eq!(refused("\n"), "the file of the secret is empty; make a good one with `openssl rand -base64 48`");
    }

    #[test]
    fn an_error_never_shows_a_secret_that_was_taken_for_a_path() {
        let by_variable = from_variables(&[("SECRET_FILE", GOOD)]).unwrap_err();
        let by_path = Keys::from_file(GOOD).unwrap_err();
        assert!(!format!("{by_variable} {by_path} {by_path:?}").contains("kRcUg2"));
    }

    #[test]
    fn the_development_secret_stays_and_is_private() {
        let (one, other) = (Directory::new(), Directory::new());
        let id = |directory: &Directory| Keys::kept_in(&directory.0).unwrap().secrets[0].kid();
        let first = id(&one);
        assert_eq!((id(&one), id(&other) == first), (first, false));
        let names: Vec<_> = fs::read_dir(&one.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [OsStr::new(DEVELOPMENT_FILE)]);
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &fs::metadata(one.0.join(DEVELOPMENT_FILE)).unwrap().permissions(),
            );
            assert_eq!(mode & 0o777, 0o600);
        }
        for damaged in ["", "short", "changeme-changeme-changeme-changeme"] {
            one.file(DEVELOPMENT_FILE, damaged);
            assert_eq!(id(&one), id(&one));
        }
        assert!(Keys::kept_in(&one.0.join("missing")).is_err());
    }

    #[test]
    fn a_development_secret_is_for_debug_builds() {
        match Keys::for_development() {
            Ok(keys) => assert!(cfg!(debug_assertions) && keys.secrets.len() == 1),
            Err(error) => assert!(!cfg!(debug_assertions) && error.kind() == KeyErrorKind::NotForProduction),
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_development_secret_that_cannot_be_read_is_not_replaced() {
        let directory = Directory::new();
        fs::create_dir(directory.0.join(DEVELOPMENT_FILE)).unwrap();
        assert_eq!(Keys::kept_in(&directory.0).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_complete_file_gets_its_name_and_replaces_no_other() {
        let directory = Directory::new();
        let (part, file) = (directory.file("part", "new"), directory.0.join("file"));
        let place = || place(Path::new(&part), &file);
        place().unwrap();
        fs::write(&file, "old").unwrap();
        fs::remove_file(&part).unwrap();
        assert_eq!(place().unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&part, "new").unwrap();
        place().unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"old");
    }

    #[test]
    fn processes_that_start_together_have_one_development_secret() {
        let directory = Directory::new();
        let ids = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Keys::kept_in(&directory.0).unwrap().secrets[0].kid())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(ids, [ids[0]; 8]);
    }

    #[test]
    fn the_build_directory_is_the_one_that_cargo_marks() {
        let directory = Directory::new();
        let deep = directory.0.join("target/debug/deps");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(build_directory(&deep.join("app")), deep);
        directory.file("target/CACHEDIR.TAG", "");
        assert_eq!(build_directory(&deep.join("app")), directory.0.join("target"));
        assert_eq!(build_directory(&deep.join("a/b/c/d")), deep.join("a/b/c"));
    }
}
