//! Who a client is: a user who has a verifier proves to know the password by SCRAM-SHA-256, and over TLS may bind
//! that proof to the server's certificate. An unknown user goes through the same exchange as a known one before it
//! fails.

use bytes::Buf;
use highwater_types::{SqlError, SqlState};
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use pgwire::api::auth::sasl::{SCRAM_SHA_256_METHOD, SCRAM_SHA_256_PLUS_METHOD};
use pgwire::error::PgWireError;
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use pgwire::messages::{DecodeContext, Message, ProtocolVersion};

use super::error::{Stop, broken};
use super::frame::{Frame, Reader};
use super::tls::TlsIdentity;
use super::users::{UserVerifier, Users};
use super::wire::Writer;

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
