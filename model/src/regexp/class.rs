//! Character classes: `[...]`, `\d`, `[[:alpha:]]`, `\p{Greek}`.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, HirKind};

/// A class under construction.
pub(super) struct Builder {
    class: ClassUnicode,
    fold: bool,
}

impl Builder {
    /// An empty class; `fold` makes all that is added match in any case.
    pub(super) fn new(fold: bool) -> Self {
        Self { class: ClassUnicode::empty(), fold }
    }

    /// Adds a range of code points. Surrogates are no characters and never match.
    pub(super) fn add_range(&mut self, low: u32, high: u32) {
        self.add(&range(low, high), false);
    }

    /// Adds a class, or what is not in it. Folding comes before negation.
    pub(super) fn add(&mut self, class: &ClassUnicode, negated: bool) {
        let mut class = class.clone();
        if self.fold {
            // Fails only without Unicode tables, which are compiled in.
            let _ = class.try_case_fold_simple();
        }
        if negated {
            class.negate();
        }
        self.class.union(&class);
    }

    /// The class, or what is not in it.
    pub(super) fn finish(mut self, negated: bool) -> ClassUnicode {
        if negated {
            self.class.negate();
        }
        self.class
    }
}

fn range(low: u32, high: u32) -> ClassUnicode {
    const SURROGATES: std::ops::RangeInclusive<u32> = 0xd800..=0xdfff;
    let low = if SURROGATES.contains(&low) { 0xe000 } else { low };
    let high = if SURROGATES.contains(&high) { 0xd7ff } else { high };
    match (char::from_u32(low), char::from_u32(high)) {
        (Some(low), Some(high)) if low <= high => ClassUnicode::new([ClassUnicodeRange::new(low, high)]),
        _ => ClassUnicode::empty(),
    }
}

fn of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(low, high)| ClassUnicodeRange::new(*low, *high)))
}

/// `\d` and its like, all ASCII: the class and whether it is negated. `\s` has no vertical tab.
pub(super) fn perl(letter: char) -> Option<(ClassUnicode, bool)> {
    let class = match letter.to_ascii_lowercase() {
        'd' => of(&[('0', '9')]),
        's' => of(&[('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')]),
        'w' => of(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        _ => return None,
    };
    Some((class, letter.is_ascii_uppercase()))
}

/// The class that `[:name:]` stands for.
pub(super) fn posix(name: &str) -> Option<ClassUnicode> {
    Some(match name {
        "alnum" => of(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "alpha" => of(&[('A', 'Z'), ('a', 'z')]),
        "ascii" => of(&[('\0', '\u{7f}')]),
        "blank" => of(&[('\t', '\t'), (' ', ' ')]),
        "cntrl" => of(&[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')]),
        "digit" => of(&[('0', '9')]),
        "graph" => of(&[('!', '~')]),
        "lower" => of(&[('a', 'z')]),
        "print" => of(&[(' ', '~')]),
        "punct" => of(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "space" => of(&[('\t', '\r'), (' ', ' ')]),
        "upper" => of(&[('A', 'Z')]),
        "word" => of(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        "xdigit" => of(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return None,
    })
}

/// The class that `\p{name}` stands for: `Any`, a general category by its short name, or a script by its full name.
pub(super) fn unicode(name: &str) -> Option<ClassUnicode> {
    const CATEGORIES: [&str; 38] = [
        "C", "Cc", "Cf", "Cn", "Co", "Cs", "L", "LC", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn",
        "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So",
        "Z", "Zl", "Zp", "Zs",
    ];
    if name == "Any" {
        return Some(range(0, char::MAX as u32));
    }
    if name == "Cs" {
        return Some(ClassUnicode::empty());
    }
    let query = if CATEGORIES.contains(&name) {
        format!(r"\p{{gc={name}}}")
    } else if name.len() > 2
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        format!(r"\p{{sc={name}}}")
    } else {
        return None;
    };
    match regex_syntax::parse(&query).ok()?.kind() {
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => Some(class.clone()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            let only = text.chars().next()?;
            Some(of(&[(only, only)]))
        }
        _ => None,
    }
}
