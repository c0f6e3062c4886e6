//! Who a client is. Without declared users everyone is believed; with them, a user who has a verifier proves to
//! know the password by SCRAM-SHA-256, and over TLS may bind that proof to the server's certificate. Passwords are
//! never stored, and an unknown user goes through the same exchange as a known one before it fails.

use std::collections::HashMap;

use bytes::Buf;
use highwater_types::{SqlError, SqlState};
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth, gen_salted_password};
use pgwire::api::auth::sasl::{SCRAM_SHA_256_METHOD, SCRAM_SHA_256_PLUS_METHOD};
use pgwire::error::PgWireError;
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use pgwire::messages::{DecodeContext, Message, ProtocolVersion};

use super::error::{Stop, broken};
use super::frame::{Frame, Reader};
use super::tls::TlsIdentity;
use super::wire::Writer;

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

    fn secret(&self) -> ScramSecret {
        ScramSecret::Verifier {
            salt: self.salt.clone(),
            iterations: self.iterations,
            stored_key: self.stored_key.clone(),
            server_key: self.server_key.clone(),
        }
    }
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
    /// Declares a user; one without a verifier is believed.
    pub fn declare(&mut self, name: impl Into<String>, verifier: Option<UserVerifier>) {
        self.verifiers.insert(name.into(), verifier);
    }

    /// What the user must prove to know; `None` when it is believed.
    fn challenge(&self, user: &str) -> Option<UserVerifier> {
        if self.verifiers.is_empty() {
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

/// Lets the client in, or not. `tls` is the server's identity where the connection is encrypted.
pub(super) async fn authenticate(
    reader: &mut Reader,
    writer: &mut Writer,
    users: &Users,
    user: &str,
    tls: Option<&TlsIdentity>,
) -> Result<(), Stop> {
    if let Some(verifier) = users.challenge(user) {
        exchange(reader, writer, &verifier, tls)
            .await
            .map_err(|failure| match failure {
                Failure::Wrong => Stop::Fatal(SqlError::new(
                    SqlState::INVALID_PASSWORD,
                    format!("password authentication failed for user \"{user}\""),
                )),
                Failure::Stop(stop) => stop,
            })?;
    }
    writer.put(&Authentication::Ok);
    Ok(())
}

enum Failure {
    /// The proof is not one.
    Wrong,
    Stop(Stop),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        Failure::Stop(stop)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Stop(error.into())
    }
}

impl From<PgWireError> for Failure {
    fn from(error: PgWireError) -> Failure {
        match error {
            PgWireError::InvalidPassword(_) => Failure::Wrong,
            other => Failure::Stop(broken(format!("malformed SCRAM message: {other}"))),
        }
    }
}

async fn exchange(
    reader: &mut Reader,
    writer: &mut Writer,
    verifier: &UserVerifier,
    tls: Option<&TlsIdentity>,
) -> Result<(), Failure> {
    let mut scram = ScramServerAuth::new();
    let mut methods = vec![SCRAM_SHA_256_METHOD.to_string()];
    if let Some(identity) = tls {
        scram.configure_certificate(identity.certificate_pem())?;
        methods.insert(0, SCRAM_SHA_256_PLUS_METHOD.to_string());
    }
    writer.put(&Authentication::SASL(methods.clone()));
    writer.flush().await?;

    let first = password_message(reader).await?;
    check_initial_response(&first)?;
    let first = first.into_sasl_initial_response()?;
    if !methods.contains(&first.auth_method) {
        return Err(broken("client selected an invalid SASL authentication mechanism").into());
    }
    let data = first.data.ok_or_else(|| broken("malformed SCRAM message"))?;
    let (answer, waiting) = scram.on_client_first_message_with_secret(&data, verifier.secret())?;
    writer.put(&Authentication::SASLContinue(answer.into()));
    writer.flush().await?;

    let last = password_message(reader).await?.into_sasl_response()?;
    let answer = waiting.on_client_final_message(&last.data)?;
    writer.put(&Authentication::SASLFinal(answer.into()));
    Ok(())
}

async fn password_message(reader: &mut Reader) -> Result<PasswordMessageFamily, Failure> {
    let Some(Frame { tag, mut body }) = reader.frame_before_login().await? else {
        return Err(Stop::Gone.into());
    };
    if tag != b'p' {
        return Err(broken(format!("expected SASL response, got message type {tag}")).into());
    }
    let length = body.len() + 4;
    let context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
    Ok(PasswordMessageFamily::decode_body(&mut body, length, &context)?)
}

/// The decoder trusts the length inside the message.
fn check_initial_response(message: &PasswordMessageFamily) -> Result<(), Stop> {
    let PasswordMessageFamily::Raw(body) = message else {
        return Ok(());
    };
    let name = body
        .iter()
        .position(|b| *b == 0)
        .ok_or_else(|| broken("malformed SCRAM message"))?;
    let mut rest = &body[name + 1..];
    if name == 0 || rest.len() < 4 {
        return Err(broken("malformed SCRAM message"));
    }
    let length = rest.get_i32();
    if length != -1 && usize::try_from(length) != Ok(rest.len()) {
        return Err(broken("malformed SCRAM message"));
    }
    Ok(())
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
}
