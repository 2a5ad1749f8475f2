//! The client's lines of chat. Those that were lost with a connection are sent again on the next.

use std::collections::VecDeque;

use crate::{
    social::{CHAT_CHARS_MAX, ChatRefused},
    time::Micros,
};

/// How many of the newest lines are kept. The server accepts fewer in the time that it takes to
/// notice that a connection is dead.
const LINES_KEPT: usize = 16;

/// A session's lines, numbered from 1. The server counts the lines that it has received, and the
/// welcome to a resumed session has that count.
#[derive(Debug)]
pub(super) struct ChatQueue {
    /// The newest lines, oldest first.
    lines: VecDeque<String>,
    /// Number of the newest line.
    newest: u32,
    /// Number of the newest line that was sent.
    sent: u32,
}

impl ChatQueue {
    /// The queue of a client that has kept none of the `received` lines.
    pub(super) const fn new(received: u32) -> Self {
        Self { lines: VecDeque::new(), newest: received, sent: received }
    }

    /// Adds a line.
    pub(super) fn push(&mut self, text: &str) -> Result<(), ChatRefused> {
        let line = text.trim();
        if line.chars().count() > CHAT_CHARS_MAX {
            return Err(ChatRefused::TooLong);
        }
        if self.unsent() == LINES_KEPT {
            return Err(ChatRefused::TooFast { wait: Micros::from_secs(1) });
        }
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
        self.newest = self.newest.wrapping_add(1);
        Ok(())
    }

    /// The next line to send.
    pub(super) fn poll(&mut self) -> Option<&str> {
        let next = self.lines.len().checked_sub(self.unsent())?;
        let line = self.lines.get(next)?;
        self.sent = self.sent.wrapping_add(1);
        Some(line)
    }

    /// Handles a new connection to a server that has `received` lines. Returns `false` if that is
    /// more than were sent.
    pub(super) fn resume(&mut self, received: u32) -> bool {
        let lost = self.sent.wrapping_sub(received).cast_signed();
        let unsent = self.newest.wrapping_sub(received).min(self.lines.len() as u32);
        self.sent = self.newest.wrapping_sub(unsent);
        lost >= 0
    }

    fn unsent(&self) -> usize {
        self.newest.wrapping_sub(self.sent) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_are_sent_again_and_before_newer_ones() {
        let mut chat = ChatQueue::new(7);
        for line in [" a", "b", "c"] {
            chat.push(line).unwrap();
        }
        assert_eq!(polled(&mut chat), ["a", "b", "c"]);
        assert!(chat.resume(8));
        chat.push("d").unwrap();
        assert_eq!(polled(&mut chat), ["b", "c", "d"]);
        assert!(chat.resume(11));
        assert_eq!(polled(&mut chat), [""; 0]);
        assert!(!chat.resume(12), "the server has received a line that was never sent");
    }

    #[test]
    fn a_queue_is_bounded() {
        let mut chat = ChatQueue::new(u32::MAX - 2);
        for n in 0..LINES_KEPT {
            chat.push(&n.to_string()).unwrap();
        }
        assert!(matches!(chat.push("full"), Err(ChatRefused::TooFast { .. })));
        assert_eq!(polled(&mut chat).len(), LINES_KEPT);
        chat.push("16").unwrap();
        assert_eq!(polled(&mut chat), ["16"]);
        assert!(chat.resume(u32::MAX - 2));
        assert_eq!(polled(&mut chat)[0], "1", "the oldest line is kept no more");
    }

    fn polled(chat: &mut ChatQueue) -> Vec<String> {
        std::iter::from_fn(|| chat.poll().map(str::to_owned)).collect()
    }
}
