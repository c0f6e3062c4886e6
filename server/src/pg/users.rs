//! [`Users`]: who may come in, and what they prove to know. Without declared users everyone is believed. Of a password
//! nothing is kept but its verifier.
//!
//! A file of users has a line for each, in the form that PgBouncer's `userlist.txt` made known: `"name" "verifier"`,
//! the verifier as `pg_authid.rolpassword` has it, or the password itself. Lines that start with a semicolon or a number
//! sign are comments.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use pgwire::api::auth::sasl::scram::{ScramSecret, gen_salted_password};
use thiserror::Error;

/// PostgreSQL's number of hash iterations.
const ITERATIONS: usize = 4096;
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// What is stored of a user's password: enough to check a proof, not enough to make one.
#[derive(Clone)]
pub struct UserVerifier {
    salt: Vec<u8>,
    iterations: usize,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl std::fmt::Debug for UserVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserVerifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl UserVerifier {
    /// The verifier of a password, under a salt of its own.
    pub fn of_password(password: &str) -> UserVerifier {
        let salt = rand::random::<[u8; SALT_BYTES]>().to_vec();
        let salted = gen_salted_password(password, &salt, ITERATIONS);
        match ScramSecret::verifier_from_salted_password(salt, salted, ITERATIONS) {
            ScramSecret::Verifier {
                salt,
                iterations,
                stored_key,
                server_key,
            } => UserVerifier {
                salt,
                iterations,
                stored_key,
                server_key,
            },
            // The function's name promises the other kind; this one would never be let in.
            ScramSecret::SaltedPassword { salt, .. } => UserVerifier::of_nobody(salt),
        }
    }

    /// Reads PostgreSQL's form, `SCRAM-SHA-256$iterations:salt$stored key:server key`.
    pub fn parse(text: &str) -> Option<UserVerifier> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (parameters, keys) = rest.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let verifier = UserVerifier {
            salt: base64(salt)?,
            iterations: iterations.parse().ok().filter(|n| *n > 0)?,
            stored_key: base64(stored_key)?,
            server_key: base64(server_key)?,
        };
        let whole = verifier.stored_key.len() == KEY_BYTES && verifier.server_key.len() == KEY_BYTES;
        whole.then_some(verifier)
    }

    /// One that no password fits.
    fn of_nobody(salt: Vec<u8>) -> UserVerifier {
        UserVerifier {
            salt,
            iterations: ITERATIONS,
            stored_key: rand::random::<[u8; KEY_BYTES]>().to_vec(),
            server_key: rand::random::<[u8; KEY_BYTES]>().to_vec(),
        }
    }

    pub(super) fn secret(&self) -> ScramSecret {
        ScramSecret::Verifier {
            salt: self.salt.clone(),
            iterations: self.iterations,
            stored_key: self.stored_key.clone(),
            server_key: self.server_key.clone(),
        }
    }
}

/// Why a file of users cannot be used.
#[derive(Debug, Error)]
pub enum UsersError {
    /// It could not be read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not of the form `"name" "verifier"`.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It has no users, which would let nobody in, or everybody.
    #[error("{path}: there are no users in it")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

/// The users that are declared.
#[derive(Debug, Clone)]
pub struct Users {
    verifiers: HashMap<String, Option<UserVerifier>>,
    /// Makes the salts of users that do not exist, always the same for the same name.
    mock: [u8; SALT_BYTES],
}

impl Default for Users {
    /// Everyone is believed.
    fn default() -> Users {
        Users {
            verifiers: HashMap::new(),
            mock: rand::random(),
        }
    }
}

impl Users {
    /// Reads a file of users.
    ///
    /// # Errors
    /// When it cannot be read, has a line of another form, or has no users.
    pub fn try_load(path: &Path) -> Result<Users, UsersError> {
        let text = std::fs::read_to_string(path).map_err(|source| UsersError::File {
            path: path.to_path_buf(),
            source,
        })?;
        let mut users = Users::default();
        for (index, line) in text.lines().enumerate() {
            let wrong = |reason| UsersError::Line {
                path: path.to_path_buf(),
                line: index + 1,
                reason,
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with([';', '#']) {
                continue;
            }
            let (name, secret) = read_user(line).map_err(wrong)?;
            users.declare(name, Some(secret));
        }
        if users.is_empty() {
            return Err(UsersError::Empty {
                path: path.to_path_buf(),
            });
        }
        Ok(users)
    }

    /// Whether there are none, so that everyone is believed.
    pub fn is_empty(&self) -> bool {
        self.verifiers.is_empty()
    }

    /// Declares a user; one without a verifier is believed.
    pub fn declare(&mut self, name: impl Into<String>, verifier: Option<UserVerifier>) {
        self.verifiers.insert(name.into(), verifier);
    }

    /// What the user must prove to know; `None` when it is believed.
    pub(super) fn challenge(&self, user: &str) -> Option<UserVerifier> {
        if self.is_empty() {
            return None;
        }
        match self.verifiers.get(user) {
            Some(verifier) => verifier.clone(),
            None => {
                let salt = gen_salted_password(user, &self.mock, 1);
                Some(UserVerifier::of_nobody(salt[..SALT_BYTES].to_vec()))
            }
        }
    }
}

/// A line of a file of users: `"name" "secret"`.
fn read_user(line: &str) -> Result<(String, UserVerifier), &'static str> {
    const FORM: &str = "write it as \"name\" \"password\", with quotes in them doubled";
    let (name, rest) = read_quoted(line).ok_or(FORM)?;
    let (secret, rest) = read_quoted(rest).ok_or(FORM)?;
    if name.is_empty() || secret.is_empty() || !rest.is_empty() {
        return Err(FORM);
    }
    if secret.starts_with("SCRAM-SHA-256$") {
        let verifier = UserVerifier::parse(&secret).ok_or("the SCRAM-SHA-256 verifier is malformed")?;
        return Ok((name, verifier));
    }
    let is_md5 = secret.len() == 35 && secret.starts_with("md5") && secret[3..].bytes().all(|b| b.is_ascii_hexdigit());
    if is_md5 {
        return Err("MD5 verifiers are not supported; use SCRAM-SHA-256");
    }
    Ok((name, UserVerifier::of_password(&secret)))
}

/// What is in double quotes at the start, quotes in it doubled, and what follows.
fn read_quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut value = String::new();
    loop {
        let (before, after) = rest.split_once('"')?;
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Some((value, after.trim_start())),
        }
    }
}

/// Decodes base64 with its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let mut bits = 0u32;
    let mut count = 0;
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers_are_read_in_postgres_form() {
        let text = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$\
                    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let verifier = UserVerifier::parse(text).expect("well formed");
        assert_eq!(verifier.salt, b"saltsaltsaltsalt");
        assert!(UserVerifier::parse("md5abc").is_none());
        assert!(UserVerifier::parse("SCRAM-SHA-256$0:AAAA$AAAA:AAAA").is_none());
    }

    #[test]
    fn an_unknown_user_is_challenged_with_the_same_salt_each_time() {
        let mut users = Users::default();
        assert!(users.challenge("ada").is_none());
        users.declare("ada", Some(UserVerifier::of_password("secret")));
        users.declare("bob", None);
        let salt = |name: &str| users.challenge(name).map(|v| v.salt);
        assert!(salt("ada").is_some());
        assert_eq!(salt("bob"), None);
        assert_eq!(salt("eve"), salt("eve"));
        assert_ne!(salt("eve"), salt("mallory"));
    }

    #[test]
    fn a_file_of_users_is_read_and_its_bad_lines_are_named() {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let path = folder.path().join("users.txt");
        let load = |text: &str| {
            std::fs::write(&path, text).expect("a writable folder");
            Users::try_load(&path)
        };
        let users = load("; two of them\n\"ada\" \"secret\"\n\n  \"o\"\"hara\"   \"x\"\"y\"\n").expect("well formed");
        assert!(users.verifiers.contains_key("o\"hara"));
        assert!(users.verifiers["ada"].is_some());
        for (text, reason) in [
            ("\"ada\" \"secret\"\nbob secret\n", "line 2: write it as"),
            ("\"ada\" \"\"", "line 1: write it as"),
            ("\"ada\" \"md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "MD5"),
            ("\"ada\" \"SCRAM-SHA-256$x\"", "malformed"),
            ("# nobody\n", "no users"),
        ] {
            let error = load(text).expect_err("not a file of users").to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
