//! Presence, chat and notices.
//!
//! Names and chat lines are typed by users. The server cleans them before it sends them to anybody
//! else: it removes control characters, invisible characters and those that change the direction
//! of text, and reduces each run of white space to one space. Markup stays; a page must show it as
//! text.
//!
//! All of this is delivered reliably and in order. Spectators receive it, but are not listed in it.

use serde::{Deserialize, Serialize};

use crate::{
    ids::Seat,
    time::{Micros, UnixMillis},
};

/// Most characters of a name; a longer one is cut off.
pub const NAME_CHARS_MAX: usize = 24;
/// Most characters of a chat line; a longer one is rejected.
pub const CHAT_CHARS_MAX: usize = 200;
/// Most characters of an operator's notice; a longer one is rejected.
pub const NOTICE_CHARS_MAX: usize = 400;
/// How many of the last lines a client that joins receives.
pub const HISTORY_LINES: usize = 32;

/// A social message from the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Social {
    /// Every player with a seat, by seat. Sent after the welcome; replaces any earlier roster.
    Roster(Vec<Player>),
    /// The new state of one player, who joined, came back, lost the connection, or left.
    Presence(Player),
    /// A line of chat or a notice. The last [`HISTORY_LINES`] are sent after the welcome; a client
    /// that resumes recognises by their ids the lines that it already has. Another match, or one of
    /// a restarted server, counts from 1 again.
    Line(Line),
    /// The server did not send out the client's own chat line.
    ChatRefused(ChatRefused),
}

/// A player with a seat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Player {
    /// The player's seat.
    pub seat: Seat,
    /// The player's name; not unique.
    pub name: String,
    /// Whether the player is connected.
    pub presence: Presence,
}

/// Whether a player is connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Connected.
    Here,
    /// The connection is lost; the seat is kept for the grace period.
    Away,
    /// The seat is free.
    Gone,
}

/// A line of chat, or a notice, to everyone in a match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Counts up within a match, from 1.
    pub id: u32,
    /// When the server received it.
    pub sent_at: UnixMillis,
    /// Its author.
    pub speaker: Speaker,
    /// Its text.
    pub text: String,
}

/// The author of a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Speaker {
    /// The server's operator: the line is a notice.
    Operator,
    /// A player.
    Player {
        /// The player's seat at that time; another player may have it now.
        seat: Seat,
        /// The player's name at that time.
        name: String,
    },
}

/// Why the server rejected a line of chat. The connection stays open.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum ChatRefused {
    /// Nothing is left of the line after cleaning.
    #[error("there is nothing to say")]
    Empty,
    /// More than [`CHAT_CHARS_MAX`] characters.
    #[error("a line has at most {CHAT_CHARS_MAX} characters")]
    TooLong,
    /// Too many lines in a short time.
    #[error("too many lines in a short time")]
    TooFast {
        /// The next line is accepted after this time.
        wait: Micros,
    },
    /// Spectators can't chat, nor can clients that have not joined yet.
    #[error("only players in a match can chat")]
    NotSeated,
}

/// Cleans a name; `None` when nothing is left of it.
#[must_use]
pub fn clean_name(typed: &str) -> Option<String> {
    let name: String = clean(typed, NAME_CHARS_MAX + 1).chars().take(NAME_CHARS_MAX).collect();
    let name = name.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Cleans a line; it may have at most `chars_max` characters after that.
pub fn clean_line(typed: &str, chars_max: usize) -> Result<String, ChatRefused> {
    let line = clean(typed, chars_max + 1);
    match line.chars().count() {
        0 => Err(ChatRefused::Empty),
        count if count > chars_max => Err(ChatRefused::TooLong),
        _ => Ok(line),
    }
}

/// Cleans a text, and cuts it off after `chars_max` characters.
fn clean(typed: &str, chars_max: usize) -> String {
    let mut clean = String::new();
    let mut chars = 0;
    for char in typed.trim().chars() {
        let char = if char.is_whitespace() { ' ' } else { char };
        if char == ' ' && (clean.is_empty() || clean.ends_with(' ')) || is_hidden(char) {
            continue;
        }
        if chars == chars_max {
            break;
        }
        clean.push(char);
        chars += 1;
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Whether a character is invisible, and so would only serve to deceive.
///
/// The joiner U+200D is allowed: emoji and words in some scripts are made with it.
const fn is_hidden(char: char) -> bool {
    matches!(char,
        '\0'..='\x1F' | '\x7F'..='\u{9F}'
        | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
        | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn invisible_characters_are_removed() {
        check_line("hello\0\x1b[31m\r\n you ", Ok("hello[31m you"));
        check_line("a\u{202E}b\u{200B}c\u{2066}d\u{FEFF}", Ok("abcd"));
        check_line("a \t\u{3000} b", Ok("a b"));
        check_line(" \u{7}\u{200B} ", Err(ChatRefused::Empty));
        check_line("", Err(ChatRefused::Empty));
    }

    #[test]
    fn markup_and_scripts_of_all_kinds_stay() {
        for text in ["<b onload=\"x\">&amp;</b>", "你好, мир", "👩‍👩‍👧 family", "e\u{301}"]
        {
            check_line(text, Ok(text));
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        check_line(&"é".repeat(CHAT_CHARS_MAX), Ok(&"é".repeat(CHAT_CHARS_MAX)));
        check_line(&"é".repeat(CHAT_CHARS_MAX + 1), Err(ChatRefused::TooLong));
    }

    #[test]
    fn names_are_cut_and_may_be_missing() {
        assert_eq!(clean_name("  Ada\n Lovelace "), Some(String::from("Ada Lovelace")));
        assert_eq!(clean_name(&"x".repeat(100)), Some("x".repeat(NAME_CHARS_MAX)));
        assert_eq!(clean_name(" \u{200B} "), None);
        // Fillers and selectors, with which a name could look empty, or like another player's.
        assert_eq!(clean_name("\u{3164}\u{FFA0}\u{115F}\u{2800}"), None);
        assert_eq!(clean_name("A\u{34F}d\u{E0101}a"), Some(String::from("Ada")));
    }

    #[track_caller]
    fn check_line(typed: &str, expected: Result<&str, ChatRefused>) {
        let cleaned = clean_line(typed, CHAT_CHARS_MAX);
        assert_eq!(cleaned.as_deref(), expected.as_deref(), "{typed:?}");
    }

    proptest! {
        #[test]
        fn cleaning_twice_is_cleaning_once(typed: String) {
            if let Some(name) = clean_name(&typed) {
                prop_assert!(name.chars().count() <= NAME_CHARS_MAX);
                prop_assert_eq!(clean_name(&name), Some(name.clone()));
            }
        }
    }
}
