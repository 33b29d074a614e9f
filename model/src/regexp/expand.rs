//! Replacement templates: `$1`, `${1}`, `$name`, `${name}`, `$$`.

use super::Regexp;

impl Regexp {
    /// Appends a template with its variables replaced by a match's groups, as Go's `Regexp.Expand` does. `$name` takes
    /// as many letters, digits and underscores as there are, so `$1x` is the group named `1x`. Groups that are not
    /// there or did not take part are empty; a `$` that starts no variable is kept.
    pub fn expand(&self, template: &str, captures: &regex::Captures<'_>, out: &mut String) {
        self.expand_within(template, captures, usize::MAX, out);
    }

    /// The same, unless the text becomes longer than a number of bytes: then it returns `false`, and the text is of no use.
    pub fn expand_within(
        &self,
        template: &str,
        captures: &regex::Captures<'_>,
        max: usize,
        out: &mut String,
    ) -> bool {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            if out.len() > max {
                return false;
            }
            out.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                rest = after;
                continue;
            }
            match variable(after) {
                Some((name, after)) => {
                    out.push_str(self.group(name, captures));
                    rest = after;
                }
                None => {
                    out.push('$');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out.len() <= max
    }

    fn group<'t>(&self, name: &str, captures: &regex::Captures<'t>) -> &'t str {
        let found = match number(name) {
            Some(number) => captures.get(number),
            None => {
                let named = |at: &usize| self.names[*at].as_deref() == Some(name);
                (0..self.names.len()).filter(named).find_map(|at| captures.get(at))
            }
        };
        found.map_or("", |found| found.as_str())
    }
}

/// The name of the variable that follows a `$`, and what follows that.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (text, braced) = match text.strip_prefix('{') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let end = text.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    if braced { rest.strip_prefix('}').map(|rest| (name, rest)) } else { Some((name, rest)) }
}

/// A group's number: digits without leading zeros.
fn number(name: &str) -> Option<usize> {
    let plain = name == "0" || !name.starts_with('0');
    if plain && name.len() <= 8 && name.bytes().all(|b| b.is_ascii_digit()) {
        name.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let regexp = Regexp::anchored(r"(a+)(?P<tail>b)?(?P<tail>c)?(.*)").unwrap();
        let captures = regexp.captures("aacé").unwrap();
        for (template, want) in [
            ("", ""),
            ("x", "x"),
            ("$1-$2-$3-$4", "aa--c-é"),
            ("${1}x", "aax"),
            ("$1x", ""),
            ("$tail", "c"),
            ("${tail}!", "c!"),
            ("$0", "aacé"),
            ("$9", ""),
            ("$01", ""),
            ("$$1", "$1"),
            ("$", "$"),
            ("a$ b", "a$ b"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("${a b}", "${a b}"),
            ("$1é", ""),
            ("$1$4", "aaé"),
            ("${1}${4}$", "aaé$"),
        ] {
            let mut out = String::new();
            regexp.expand(template, &captures, &mut out);
            assert_eq!(out, want, "{template}");
        }
        let any = Regexp::new("b|^").unwrap();
        assert_eq!(any.replace_all("abcb", "<$0>"), "<>a<b>c<b>");
    }
}
