//! The tokens of the format, by what may stand at a place.

use super::OpenMetricsParser;
use crate::exposition::cursor::{QuoteRules, Token, class};

const KEYWORDS: [(&[u8], Token); 4] = [
    (b"# HELP ", Token::Help),
    (b"# TYPE ", Token::Type),
    (b"# UNIT ", Token::Unit),
    (b"# EOF", Token::EofWord),
];

impl OpenMetricsParser<'_> {
    pub(super) fn start_token(&mut self) -> Token {
        if self.after_value {
            return self.timestamp_token();
        }
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b if class::TABLE[b as usize] & class::METRIC_START != 0 => {
                c.skip_class(class::METRIC);
                Token::MetricName
            }
            b'#' => {
                let line = &c.body[c.at..];
                for (word, token) in KEYWORDS {
                    if line.starts_with(word) {
                        c.at += word.len();
                        c.at += usize::from(token == Token::EofWord && c.peek() == b'\n');
                        return token;
                    }
                }
                let fits = |word: &[u8]| word.iter().zip(line).take_while(|(a, b)| a == b).count();
                c.at += KEYWORDS.iter().map(|(word, _)| fits(word)).max().unwrap_or(0);
                Token::Invalid
            }
            b'{' => {
                c.at += 1;
                Token::BraceOpen
            }
            _ => self.misfit(),
        }
    }

    pub(super) fn label_token(&mut self, string_rules: QuoteRules) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        let single = match c.peek() {
            b if class::TABLE[b as usize] & class::LABEL_START != 0 => {
                c.skip_class(class::LABEL);
                return Token::LabelName;
            }
            b'"' => return if c.skip_quoted(string_rules) { Token::QuotedString } else { Token::Invalid },
            b'}' => Token::BraceClose,
            b'=' => Token::Equal,
            b',' => Token::Comma,
            _ => return self.misfit(),
        };
        c.at += 1;
        single
    }

    pub(super) fn label_value_token(&mut self, rules: QuoteRules) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        if c.peek() == b'"' {
            return if c.skip_quoted(rules) { Token::LabelValue } else { Token::Invalid };
        }
        self.misfit()
    }

    /// A blank and what follows up to the next blank or line break.
    pub(super) fn word_token(&mut self, token: Token) -> Token {
        let c = &mut self.cursor;
        c.at += 1;
        let from = c.at;
        while !matches!(c.peek(), b' ' | b'\n' | 0) {
            c.at += 1;
        }
        if c.at > from { token } else { Token::Invalid }
    }

    pub(super) fn value_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b'{' => {
                c.at += 1;
                Token::BraceOpen
            }
            b' ' => self.word_token(Token::Value),
            _ => self.misfit(),
        }
    }

    pub(super) fn timestamp_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b'\n' => {
                c.at += 1;
                Token::Linebreak
            }
            b' ' if c.starts_with(b" # ") => {
                c.at += 3;
                if c.peek() != b'{' {
                    return Token::Invalid;
                }
                c.at += 1;
                Token::Comment
            }
            b' ' => self.word_token(Token::Timestamp),
            _ => self.misfit(),
        }
    }

    pub(super) fn exemplar_timestamp_token(&mut self) -> Token {
        let c = &mut self.cursor;
        c.begin_token();
        match c.peek() {
            b'\n' => {
                c.at += 1;
                Token::Linebreak
            }
            b' ' => self.word_token(Token::Timestamp),
            _ => self.misfit(),
        }
    }

    pub(super) fn misfit(&self) -> Token {
        if self.cursor.at_end() { Token::Eof } else { Token::Invalid }
    }
}
