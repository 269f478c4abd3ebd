//! Base64 as Go's decoder has it: line breaks are passed over, and so are the
//! bits that the last digit has too many.

/// Bytes from text, or the place of the first byte that is wrong.
pub fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let mut digits = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| !b"\r\n".contains(byte));
    loop {
        let mut quantum = [0; 4];
        for index in 0..4 {
            let Some((at, byte)) = digits.next() else {
                return match index {
                    0 => Ok(decoded),
                    _ => Err(text.len() - index),
                };
            };
            if let Some(value) = value(byte) {
                quantum[index] = value;
                continue;
            }
            if byte != b'=' || index < 2 {
                return Err(at);
            }
            if index == 2 {
                match digits.next() {
                    None => return Err(text.len()),
                    Some((next, byte)) if byte != b'=' => return Err(next - 1),
                    Some(_) => {}
                }
            }
            if let Some((garbage, _)) = digits.next() {
                return Err(garbage);
            }
            decoded.extend_from_slice(&bytes(quantum)[..index - 1]);
            return Ok(decoded);
        }
        decoded.extend_from_slice(&bytes(quantum));
    }
}

fn bytes([a, b, c, d]: [u8; 4]) -> [u8; 3] {
    [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_takes_is_taken() {
        for (text, expected) in [
            ("", ""),
            ("Zm9v", "foo"),
            ("Zm\n9v\r\nYg==\n", "foob"),
            ("YWI=", "ab"),
            ("ab==", "i"),
        ] {
            assert_eq!(decode(text).as_deref(), Ok(expected.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_where_go_says() {
        for (text, at) in [
            ("=", 0),
            ("a", 0),
            ("ab", 0),
            ("abcde", 4),
            ("ab=", 3),
            ("ab=c", 2),
            ("ab==cd", 4),
            ("abc=d", 4),
            ("a b", 1),
            ("Zm9v!", 4),
        ] {
            assert_eq!(decode(text), Err(at), "{text}");
        }
    }
}
