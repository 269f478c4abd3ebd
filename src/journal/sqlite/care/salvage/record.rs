//! The rows of a page.

use rusqlite::types::Value;

use super::pages::Pages;
use crate::journal::sqlite::schema::PAGE_SIZE;

/// Kinds of pages that hold rows: of a table with numbered rows, and of one
/// that is an index of itself.
const TABLE_LEAF: u8 = 13;
const INDEX_LEAF: u8 = 10;
const INDEX_INTERIOR: u8 = 2;

/// Longest row that is read: a body and what is made of it are far below.
const LONGEST: usize = 512 * 1024 * 1024;

/// A row.
pub(super) struct Row {
    /// Its number, in a table that has them.
    pub(super) number: Option<i64>,
    pub(super) values: Vec<Value>,
    /// The pages that it was read from.
    #[cfg(test)]
    pub(super) pages: Vec<u32>,
}

/// The rows of a page, and how many places there are with none that can be
/// read.
pub(super) fn rows(pages: &Pages, at: u32) -> (Vec<Row>, usize) {
    let Some(page) = pages.read(at) else {
        return (Vec::new(), 1);
    };
    let start = if at == 1 { 100 } else { 0 };
    let (head, is_numbered) = match page[start] {
        TABLE_LEAF => (8, true),
        INDEX_LEAF => (8, false),
        INDEX_INTERIOR => (12, false),
        _ => return (Vec::new(), 0),
    };
    let is_interior = page[start] == INDEX_INTERIOR;
    let count = usize::from(short(&page, start + 3));
    // More would not fit: the page is no such page.
    if count > PAGE_SIZE / 4 {
        return (Vec::new(), 1);
    }
    let (mut found, mut torn) = (Vec::new(), 0);
    for index in 0..count {
        let cell = usize::from(short(&page, start + head + 2 * index));
        let cell = if is_interior { cell + 4 } else { cell };
        match row(pages, &page, at, cell, is_numbered) {
            Some(row) => found.push(row),
            None => torn += 1,
        }
    }
    (found, torn)
}

fn short(page: &[u8], at: usize) -> u16 {
    let bytes = page.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u16::from_be_bytes)
}

#[cfg_attr(not(test), expect(unused_variables, reason = "tests ask which page"))]
fn row(pages: &Pages, page: &[u8], at: u32, cell: usize, is_numbered: bool) -> Option<Row> {
    let mut rest = page.get(cell..)?;
    let length = usize::try_from(varint(&mut rest)?).ok()?;
    let number = match is_numbered {
        true => Some(varint(&mut rest)?.cast_signed()),
        false => None,
    };
    if length > LONGEST {
        return None;
    }
    let local = local_part(length, is_numbered);
    let mut payload = rest.get(..local)?.to_vec();
    #[cfg(test)]
    let mut used = vec![at];
    if local < length {
        let mut next = super::pages::number(rest, local)?;
        while payload.len() < length {
            #[cfg(test)]
            used.push(next);
            let page = pages.read(next)?;
            let more = (length - payload.len()).min(PAGE_SIZE - 4);
            payload.extend_from_slice(&page[4..4 + more]);
            next = super::pages::number(&page, 0)?;
        }
    }
    Some(Row {
        number,
        values: values(&payload)?,
        #[cfg(test)]
        pages: used,
    })
}

/// How much of a row of this length is in the page itself.
fn local_part(length: usize, is_numbered: bool) -> usize {
    let most = match is_numbered {
        true => PAGE_SIZE - 35,
        false => (PAGE_SIZE - 12) * 64 / 255 - 23,
    };
    if length <= most {
        return length;
    }
    let least = (PAGE_SIZE - 12) * 32 / 255 - 23;
    let fitting = least + (length - least) % (PAGE_SIZE - 4);
    if fitting <= most { fitting } else { least }
}

/// The values of a record; nothing where it is none.
fn values(record: &[u8]) -> Option<Vec<Value>> {
    let mut head = record;
    let length = usize::try_from(varint(&mut head)?).ok()?;
    let used = record.len() - head.len();
    let mut kinds = record.get(used..length)?;
    let mut rest = record.get(length..)?;
    let mut values = Vec::new();
    while !kinds.is_empty() {
        let kind = varint(&mut kinds)?;
        values.push(value(kind, &mut rest)?);
    }
    rest.is_empty().then_some(values)
}

fn value(kind: u64, rest: &mut &[u8]) -> Option<Value> {
    let length = match kind {
        0 | 8 | 9 => 0,
        1..=4 => usize::try_from(kind).ok()?,
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return None,
        _ => usize::try_from((kind - 12) / 2).ok()?,
    };
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(match kind {
        0 => Value::Null,
        1..=6 => Value::Integer(signed(bytes)),
        7 => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        _ if kind.is_multiple_of(2) => Value::Blob(bytes.to_vec()),
        _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
    })
}

/// A number of one to eight bytes, most significant first.
fn signed(bytes: &[u8]) -> i64 {
    let first = bytes
        .first()
        .map_or(0, |first| i64::from(first.cast_signed()));
    let rest = bytes.get(1..).unwrap_or_default();
    rest.iter()
        .fold(first, |number, byte| (number << 8) | i64::from(*byte))
}

/// A number of one to nine bytes, taken off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for index in 0..9 {
        let byte = *bytes.get(index)?;
        if index == 8 {
            number = (number << 8) | u64::from(byte);
        } else {
            number = (number << 7) | u64::from(byte & 0x7f);
        }
        if index == 8 || byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (bytes, number) in [
            (&[0x7f][..], 0x7f),
            (&[0x81, 0x00], 0x80),
            (&[0xff; 9], u64::MAX),
        ] {
            let mut rest = bytes;
            assert_eq!(varint(&mut rest), Some(number));
            assert!(rest.is_empty());
        }
        assert_eq!(varint(&mut &[0x81][..]), None);
        assert_eq!(signed(&[0xff]), -1);
        assert_eq!(signed(&[0x01, 0x00]), 256);
        assert_eq!(signed(&[0xff, 0xff, 0xfe]), -2);
    }

    #[test]
    fn a_record_with_too_few_or_too_many_bytes_is_none() {
        let record = [3, 1, 13 + 2 * 2, 7, b'a', b'b'];
        assert!(values(&record[..5]).is_none());
        assert_eq!(values(&record).unwrap().len(), 2);
        assert!(values(&[&record[..], &[0]].concat()).is_none());
    }
}
