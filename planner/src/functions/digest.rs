//! MD5 and the encodings of bytes as text.

use highwater_types::{SqlError, SqlState};

use super::rows::Answer;

/// The MD5 of bytes, in hexadecimal. (RFC 1321.)
pub(crate) fn md5_hex(input: &[u8]) -> String {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut message = input.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(input.len() as u64).wrapping_mul(8).to_le_bytes());
    for block in message.chunks_exact(64) {
        let word =
            |at: usize| u32::from_le_bytes([block[at * 4], block[at * 4 + 1], block[at * 4 + 2], block[at * 4 + 3]]);
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, at) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), (7 * step) % 16),
            };
            let constant = (f64::from(step as u32 + 1).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(word(at));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (old, new) in state.iter_mut().zip([a, b, c, d]) {
            *old = old.wrapping_add(new);
        }
    }
    let bytes = state.iter().flat_map(|s| s.to_le_bytes());
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn unknown(format: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unrecognized encoding: \"{format}\""),
    )
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `encode(bytes, format)`.
pub(crate) fn encode(bytes: &[u8], format: &str) -> Answer<String> {
    Ok(Some(match format.to_ascii_lowercase().as_str() {
        "hex" => bytes.iter().map(|b| format!("{b:02x}")).collect(),
        "base64" => base64(bytes),
        "escape" => {
            let mut text = String::new();
            for byte in bytes {
                match byte {
                    0 | 0x80.. => text.push_str(&format!("\\{byte:03o}")),
                    b'\\' => text.push_str("\\\\"),
                    byte => text.push(char::from(*byte)),
                }
            }
            text
        }
        _ => return Err(unknown(format)),
    }))
}

/// Base64 in lines of 76 characters.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, chunk) in bytes.chunks(3).enumerate() {
        if at > 0 && at % 19 == 0 {
            text.push('\n');
        }
        let bits = chunk.iter().fold(0_u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() {
                char::from(DIGITS[digit as usize])
            } else {
                '='
            });
        }
    }
    text
}

/// `decode(text, format)`.
pub(crate) fn decode(text: &str, format: &str) -> Answer<Vec<u8>> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => highwater_types::text::parse_bytea(&format!("\\x{text}")).map(Some),
        "escape" => {
            highwater_types::text::parse_bytea(&format!("{}{text}", if text.starts_with("\\x") { "\\" } else { "" }))
                .map(Some)
        }
        "base64" => decode_base64(text).map(Some),
        _ => Err(unknown(format)),
    }
}

fn decode_base64(text: &str) -> Result<Vec<u8>, SqlError> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        if c == '=' {
            break;
        }
        let digit = DIGITS.iter().position(|d| char::from(*d) == c).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid symbol \"{c}\" found while decoding base64 sequence"),
            )
        })?;
        bits = bits << 6 | digit as u32;
        count += 1;
        if count % 4 == 0 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            bits = 0;
        }
    }
    match count % 4 {
        2 => bytes.push((bits >> 4) as u8),
        3 => bytes.extend_from_slice(&[(bits >> 10) as u8, (bits >> 2) as u8]),
        0 => {}
        _ => {
            return Err(
                SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid base64 end sequence")
                    .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."),
            );
        }
    }
    Ok(bytes)
}
