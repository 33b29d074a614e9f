//! The scanner's states for series descriptions: `metric{...} 1+1x5 _x3 stale {{schema:1 buckets:[1 2]}}`.

use model::histogram::ResetHint;
use model::labels::Quoted;

use crate::ast::BinaryOp;
use crate::lex::scan::{HistogramState, Scanner, State, Step, is_alpha, is_space};
use crate::lex::string::QuotedChar;
use crate::lex::token::{Descriptor, Kind};

impl Scanner<'_> {
    pub(super) fn values(&mut self) -> Step {
        if self.histogram != HistogramState::None {
            return self.histogram();
        }
        let Some(c) = self.next() else {
            return Ok(State::Statements);
        };
        match c {
            '{' if self.accept("{") => {
                self.histogram = HistogramState::Open;
                self.emit(Kind::OpenHistogram);
                return Ok(State::Histogram);
            }
            c if is_space(c) => {
                self.emit(Kind::Space);
                self.skip_spaces();
            }
            '+' => self.emit(Kind::Op(BinaryOp::Add)),
            '-' => self.emit(Kind::Op(BinaryOp::Sub)),
            'x' => self.emit(Kind::Times),
            '_' => self.emit(Kind::Blank),
            c if c.is_ascii_digit()
                || (c == '.' && self.peek().is_some_and(|next| next.is_ascii_digit())) =>
            {
                self.pos -= 1;
                self.number()?;
            }
            c if is_alpha(c) => {
                self.pos -= 1;
                return self.keyword_or_identifier();
            }
            c => return Err(format!("unexpected character in series sequence: {}", QuotedChar(Some(c)))),
        }
        Ok(State::Values)
    }

    pub(super) fn histogram(&mut self) -> Step {
        if self.histogram == HistogramState::Operator {
            self.histogram = HistogramState::None;
            let kind = match self.next() {
                Some('+') => Kind::Op(BinaryOp::Add),
                Some('-') => Kind::Op(BinaryOp::Sub),
                _ => Kind::Times,
            };
            self.emit(kind);
            return Ok(State::Values);
        }
        if self.bracket_open {
            return self.buckets();
        }
        match self.next() {
            Some(c) if is_space(c) => {
                self.emit(Kind::Space);
                self.skip_spaces();
            }
            Some(c) if is_alpha(c) => return self.descriptor(),
            Some(':') => self.emit(Kind::Colon),
            Some('-') => self.emit(Kind::Op(BinaryOp::Sub)),
            Some(c) if c.is_ascii_digit() => {
                self.pos -= 1;
                self.number()?;
            }
            Some('[') => {
                self.bracket_open = true;
                self.emit(Kind::LeftBracket);
                return Ok(State::Buckets);
            }
            Some('}') if self.accept("}") => {
                self.emit(Kind::CloseHistogram);
                self.histogram = if self.is("x+-") { HistogramState::Operator } else { HistogramState::None };
                return Ok(State::Values);
            }
            c => return Err(format!("histogram description incomplete unexpected: {}", QuotedChar(c))),
        }
        Ok(State::Histogram)
    }

    fn descriptor(&mut self) -> Step {
        self.take_while(is_alpha);
        let word = self.word().to_ascii_lowercase();
        let hint = match word.as_str() {
            "unknown" => Some(ResetHint::Unknown),
            "reset" => Some(ResetHint::Reset),
            "not_reset" => Some(ResetHint::NotReset),
            "gauge" => Some(ResetHint::Gauge),
            _ => None,
        };
        if let Some(descriptor) = Descriptor::find(&word) {
            if !self.is(":") {
                return Err("missing `:` for histogram descriptor".to_owned());
            }
            self.emit(Kind::Descriptor(descriptor));
        } else if matches!(word.as_str(), "inf" | "nan") {
            self.emit(Kind::Number);
        } else if let Some(hint) = hint {
            self.emit(Kind::Hint(hint));
        } else {
            return Err(format!("bad histogram descriptor found: {}", Quoted(self.word())));
        }
        Ok(State::Histogram)
    }

    pub(super) fn buckets(&mut self) -> Step {
        match self.next() {
            Some(c) if is_space(c) => {
                self.emit(Kind::Space);
                self.skip_spaces();
            }
            Some('-') => {
                self.emit(Kind::Op(BinaryOp::Sub));
                self.number()?;
            }
            Some(c) if c.is_ascii_digit() => {
                self.pos -= 1;
                self.number()?;
            }
            Some(']') => {
                self.bracket_open = false;
                self.emit(Kind::RightBracket);
                return Ok(State::Histogram);
            }
            Some(c) if is_alpha(c) => {
                if matches!(self.word().to_ascii_lowercase().as_str(), "inf" | "nan") {
                    self.emit(Kind::Number);
                }
            }
            c => return Err(format!("invalid character in buckets description: {}", QuotedChar(c))),
        }
        Ok(State::Buckets)
    }
}
