//! The write-ahead log of SQLite (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>), as far as a test that cuts it
//! has to understand it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

use rand::{Rng, RngExt, rngs::StdRng};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What tells one life of a log from the next, which begins at its start again.
pub fn salts(log: &[u8]) -> Option<[u8; 8]> {
    log.get(16..24)?.try_into().ok()
}

/// The end of the last whole commit in a log; frames of an earlier life, whose salts differ, may follow.
pub fn committed_end(log: &[u8]) -> usize {
    if log.len() < HEADER {
        return 0;
    }
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let salts = &log[16..24];
    let (mut end, mut position) = (HEADER, HEADER);
    while let Some(frame) = log.get(position..position + FRAME_HEADER) {
        if &frame[8..16] != salts || position + FRAME_HEADER + page > log.len() {
            break;
        }
        position += FRAME_HEADER + page;
        // The size of the database after a commit; zero in the frames before its last one.
        if frame[4..8] != [0; 4] {
            end = position;
        }
    }
    end
}

/// How a torn log is torn: there are so many ways.
pub const DAMAGES: usize = 4;

/// What a disk may hold of a log whose first `synced` bytes were synced.
pub fn torn(log: &[u8], synced: usize, damage: usize, rng: &mut StdRng) -> Vec<u8> {
    let cut = rng.random_range(synced..=log.len());
    let mut torn = log[..cut].to_vec();
    match damage {
        // Cut off, or the rest of the file never written, or full of something else.
        0 => {}
        1 => torn.resize(log.len(), 0),
        2 => torn.extend(rng.random_iter::<u8>().take(log.len() - cut)),
        // Bits that flipped in what was being written.
        _ => torn.iter_mut().skip(synced).step_by(97).for_each(|byte| *byte ^= rng.next_u32() as u8),
    }
    torn
}
