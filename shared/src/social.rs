//! Who takes part in a match, and what is said there: presence, chat, notices.
//!
//! Names and lines are what people have typed. They are cleaned before anybody else gets them:
//! control characters, invisible characters and those that turn the direction of the text around
//! them are taken out, runs of white space become one space. Markup is left as it is; a page must
//! show it as text.
//!
//! Everything here is reliable and in order. Spectators are told, but nobody is told of them.

use serde::{Deserialize, Serialize};

use crate::{
    ids::Seat,
    time::{Micros, UnixMillis},
};

/// Characters in a name; more are cut off.
pub const NAME_CHARS_MAX: usize = 24;
/// Characters in a line of chat; a longer one is refused.
pub const CHAT_CHARS_MAX: usize = 200;
/// Characters in an operator's notice; a longer one is refused.
pub const NOTICE_CHARS_MAX: usize = 400;
/// Lines that somebody who comes in is told of those that were said before.
pub const HISTORY_LINES: usize = 32;

/// What a server says about people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Social {
    /// Everyone who has a seat, by seat: follows the welcome, and replaces what was told before.
    Roster(Vec<Player>),
    /// How it stands with one player now: somebody new, back, away, or gone.
    Presence(Player),
    /// Something was said. The last [`HISTORY_LINES`] follow the welcome, so a client that takes
    /// its session up again knows some of them, by their ids.
    Line(Line),
    /// The client's own chat did not go out.
    ChatRefused(ChatRefused),
}

/// Somebody with a seat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Player {
    /// Where.
    pub seat: Seat,
    /// What they call themselves; not unique.
    pub name: String,
    /// Whether they are there.
    pub presence: Presence,
}

/// Whether somebody is there.
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

/// Something that was said to everyone in a match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Counts up within a match, from 1.
    pub id: u32,
    /// When the server heard it.
    pub sent_at: UnixMillis,
    /// Who said it.
    pub speaker: Speaker,
    /// What.
    pub text: String,
}

/// Who says a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Speaker {
    /// Whoever runs the server: the line is a notice.
    Operator,
    /// A player.
    Player {
        /// Their seat then; another may sit there now.
        seat: Seat,
        /// Their name then.
        name: String,
    },
}

/// Why a line of chat did not go out. The connection goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum ChatRefused {
    /// Nothing is left of it once it is cleaned.
    #[error("there is nothing to say")]
    Empty,
    /// More than [`CHAT_CHARS_MAX`] characters.
    #[error("a line has at most {CHAT_CHARS_MAX} characters")]
    TooLong,
    /// Too many lines in a short time.
    #[error("too many lines in a short time")]
    TooFast {
        /// The next one may be said after this time.
        wait: Micros,
    },
    /// Spectators only listen.
    #[error("spectators only listen")]
    NotSeated,
}

/// A name as others may see it; `None` when nothing is left of it.
#[must_use]
pub fn clean_name(typed: &str) -> Option<String> {
    let name: String = clean(typed, NAME_CHARS_MAX + 1).chars().take(NAME_CHARS_MAX).collect();
    let name = name.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

/// A line of at most `chars_max` characters as others may see it.
pub fn clean_line(typed: &str, chars_max: usize) -> Result<String, ChatRefused> {
    let line = clean(typed, chars_max + 1);
    match line.chars().count() {
        0 => Err(ChatRefused::Empty),
        count if count > chars_max => Err(ChatRefused::TooLong),
        _ => Ok(line),
    }
}

/// What may be shown of a text, up to `chars_max` characters.
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

/// Whether a character is none that one sees: it would only serve to deceive.
///
/// The joiner U+200D is let through: emoji are made with it, as are words in some scripts.
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
    fn what_one_does_not_see_is_taken_out() {
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
        // Fillers and selectors: with them one could be called nothing, or what another is.
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
