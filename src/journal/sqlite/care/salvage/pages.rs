//! The pages of a database file, read without the database: what is damaged
//! keeps nobody from reading the rest.
//!
//! The format is <https://www.sqlite.org/fileformat2.html>.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::journal::sqlite::schema::PAGE_SIZE;

/// Bytes of a log's header, and of what is before each page in it.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: usize = 24;

/// Where the first page says the last of the roots; 0 where there are no maps.
const LARGEST_ROOT: usize = 52;

/// Bytes of an entry in a map of pages.
const MAP_ENTRY: usize = 5;

/// Kinds of pages in such a map: those that are free, and the last one.
const MAP_FREE: u8 = 2;
const MAP_LAST: u8 = 5;

/// A database file, with what its log has of it.
pub(super) struct Pages {
    file: File,
    log: Option<File>,
    /// Where in the log the newest version of a page is.
    newer: HashMap<u32, u64>,
    count: u32,
    /// Pages of the log that cannot be read.
    pub(super) torn: usize,
}

impl Pages {
    pub(super) fn open(path: &Path, log: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let size = PAGE_SIZE as u64;
        let in_file = file.metadata()?.len().div_ceil(size);
        let log = match File::open(log) {
            Ok(log) => Some(log),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut pages = Self {
            file,
            log,
            newer: HashMap::new(),
            count: u32::try_from(in_file).unwrap_or(u32::MAX),
            torn: 0,
        };
        pages.read_log();
        Ok(pages)
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// A page; the first is number 1. One that is cut off ends in zeros.
    pub(super) fn read(&self, number: u32) -> Option<Vec<u8>> {
        let index = u64::from(number.checked_sub(1)?);
        if number > self.count {
            return None;
        }
        let mut page = vec![0; PAGE_SIZE];
        let (file, at) = match (self.newer.get(&number), &self.log) {
            (Some(at), Some(log)) => (log, *at),
            _ => (&self.file, index * PAGE_SIZE as u64),
        };
        let mut read = 0;
        while read < PAGE_SIZE {
            match file.read_at(&mut page[read..], at + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // A sector that cannot be read.
                Err(_) => return None,
            }
        }
        Some(page)
    }

    /// Finds the newest version of each page that a commit has put into the
    /// log.
    fn read_log(&mut self) {
        let Some(log) = &self.log else {
            return;
        };
        let mut header = [0; LOG_HEADER as usize];
        if log.read_exact_at(&mut header, 0).is_err() {
            return;
        }
        let big_endian = match number(&header, 0) {
            Some(0x377f_0682) => false,
            Some(0x377f_0683) => true,
            _ => {
                self.torn += 1;
                return;
            }
        };
        let mut before = (word(&header, 24), word(&header, 28));
        let mut frame = vec![0; FRAME_HEADER + PAGE_SIZE];
        let (mut pending, mut at) = (Vec::new(), LOG_HEADER);
        // Those with other salts are of an older log.
        while log.read_exact_at(&mut frame, at).is_ok() && frame[8..16] == header[16..24] {
            let sum = checksum(before, &frame[..8], big_endian);
            let sum = checksum(sum, &frame[FRAME_HEADER..], big_endian);
            before = (word(&frame, 16), word(&frame, 20));
            // Each is checked from the sum of the one before, so that one that is
            // torn does not take those behind with it.
            match sum == before {
                true => pending.push((word(&frame, 0), at + FRAME_HEADER as u64)),
                false => self.torn += 1,
            }
            let count = word(&frame, 4);
            if sum == before && count > 0 {
                self.newer.extend(pending.drain(..));
                self.count = count;
            }
            at += frame.len() as u64;
        }
    }

    /// Pages that hold nothing any more. What is in them was deleted, or is
    /// elsewhere in a newer version. The file says so twice, in a list and in
    /// maps; where both can be read they must agree.
    pub(super) fn free(&self) -> HashSet<u32> {
        let first = self.read(1).unwrap_or_default();
        let is_whole = first.starts_with(b"SQLite format 3\0");
        let mapped = match is_whole && word(&first, LARGEST_ROOT) == 0 {
            true => HashMap::new(),
            false => self.mapped(),
        };
        let listed = is_whole.then(|| self.listed(&first)).flatten();
        match listed {
            Some(mut listed) => {
                listed.retain(|page| mapped.get(page).is_none_or(|kind| *kind == MAP_FREE));
                listed
            }
            None => {
                let free = mapped.into_iter().filter(|(_, kind)| *kind == MAP_FREE);
                free.map(|(page, _)| page).collect()
            }
        }
    }

    /// The list of free pages that begins in the first page; nothing where it
    /// is not whole.
    fn listed(&self, first: &[u8]) -> Option<HashSet<u32>> {
        let (mut trunk, wanted) = (word(first, 32), word(first, 36));
        let mut free = HashSet::new();
        while trunk != 0 {
            let page = self.read(trunk)?;
            let leaves = word(&page, 4) as usize;
            let may_be = leaves <= PAGE_SIZE / 4 - 2 && free.insert(trunk);
            for leaf in 0..leaves.min(PAGE_SIZE / 4 - 2) {
                free.insert(word(&page, 8 + 4 * leaf));
            }
            trunk = word(&page, 0);
            if !may_be {
                return None;
            }
        }
        let in_file = free.iter().all(|page| (2..=self.count).contains(page));
        let is_whole = u32::try_from(free.len()).is_ok_and(|found| found == wanted);
        (in_file && is_whole).then_some(free)
    }

    /// What maps say that pages are for. One with anything in it that no page
    /// can be is damaged itself.
    fn mapped(&self) -> HashMap<u32, u8> {
        let entries = (PAGE_SIZE / MAP_ENTRY) as u32;
        let mut mapped = HashMap::new();
        for map in (2..=self.count).step_by(entries as usize + 1) {
            let page = self.read(map).unwrap_or_default();
            let covered = entries.min(self.count - map) as usize;
            let kinds = page.chunks_exact(MAP_ENTRY).map(|entry| entry[0]);
            let kinds: Vec<u8> = kinds.take(covered).collect();
            if kinds.iter().all(|kind| (1..=MAP_LAST).contains(kind)) {
                mapped.extend((map + 1..).zip(kinds));
            }
        }
        mapped
    }
}

/// The sum that a log has of its frames.
fn checksum(before: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let words = bytes.chunks_exact(4).map(|word| {
        let word = [word[0], word[1], word[2], word[3]];
        match big_endian {
            true => u32::from_be_bytes(word),
            false => u32::from_le_bytes(word),
        }
    });
    let (mut first, mut second) = before;
    for (index, word) in words.enumerate() {
        match index % 2 {
            0 => first = first.wrapping_add(word).wrapping_add(second),
            _ => second = second.wrapping_add(word).wrapping_add(first),
        }
    }
    (first, second)
}

/// A number of four bytes.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// A number of four bytes within a page, where there are always that many.
fn word(bytes: &[u8], at: usize) -> u32 {
    number(bytes, at).unwrap_or_default()
}
