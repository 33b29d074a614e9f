//! Matching whole label values without a regular expression wherever an expression is simple enough, which most are:
//! sets of literals, and literals with `.*` or `.+` between them.

use super::node::{Look, Node};
use super::parse::{Mode, parse};
use super::{RegexpError, compile};

/// Literals that a set, or a place in a pattern, may have.
const MAX_LITERALS: usize = 256;
/// Alternative patterns with wildcards to try one after the other.
const MAX_GLOBS: usize = 32;

/// An expression that matches whole texts, `.` matching newlines too.
#[derive(Clone, Debug)]
pub struct FastMatcher {
    plan: Plan,
    /// All texts that match, ascending, if they are few.
    set: Option<Vec<String>>,
    /// What every matching text starts with.
    prefix: String,
}

#[derive(Clone, Debug)]
enum Plan {
    /// One of the set.
    Set,
    /// One of these patterns.
    Globs(Vec<Glob>),
    /// A literal in any case. The expression decides on texts that are not ASCII.
    Fold { literal: String, regex: regex::Regex },
    /// The expression, after a look at both ends.
    Regex { prefix: String, suffix: String, regex: regex::Regex },
}

/// Literals with gaps between them: `prefix gap middle gap ... suffix`.
#[derive(Clone, Debug, PartialEq)]
struct Glob {
    prefix: String,
    /// Each gap's least number of characters and the literal after it; the last literal is the suffix.
    rest: Vec<(usize, String)>,
}

impl FastMatcher {
    /// Compiles an expression; errors quote it as it is.
    pub fn new(pattern: &str) -> Result<Self, RegexpError> {
        let (node, _) = parse(pattern, Mode::DOT_NEWLINE)?;
        let node = strip(node);
        if let Some(mut set) = literals(&node) {
            set.sort_unstable();
            set.dedup();
            let prefix = common_prefix(set.iter().map(String::as_str)).to_owned();
            return Ok(Self { plan: Plan::Set, set: Some(set), prefix });
        }
        if let Some(globs) = globs(&node) {
            let prefix = common_prefix(globs.iter().map(|glob| glob.prefix.as_str())).to_owned();
            return Ok(Self { plan: Plan::Globs(globs), set: None, prefix });
        }
        let (prefix, suffix) = (edge(&node, true), edge(&node, false));
        let fold = match &node {
            Node::Literal { text, fold: true } if text.is_ascii() => Some(text.clone()),
            _ => None,
        };
        let anchored = Node::Concat(vec![Node::Look(Look::BeginText), node, Node::Look(Look::EndText)]);
        let regex = compile(&anchored, pattern)?;
        Ok(match fold {
            Some(literal) => Self { plan: Plan::Fold { literal, regex }, set: None, prefix },
            None => Self { plan: Plan::Regex { prefix: prefix.clone(), suffix, regex }, set: None, prefix },
        })
    }

    /// Whether a text matches.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.plan {
            Plan::Set => match self.set.as_deref() {
                Some([one]) => one == text,
                Some(set) => set.binary_search_by(|literal| literal.as_str().cmp(text)).is_ok(),
                None => false,
            },
            Plan::Globs(globs) => globs.iter().any(|glob| glob.is_match(text)),
            Plan::Fold { literal, regex } => {
                if text.is_ascii() {
                    literal.eq_ignore_ascii_case(text)
                } else {
                    regex.is_match(text)
                }
            }
            Plan::Regex { prefix, suffix, regex } => {
                text.starts_with(prefix.as_str()) && text.ends_with(suffix.as_str()) && regex.is_match(text)
            }
        }
    }

    /// All texts that match, ascending, when the expression says so plainly and they are at most 256.
    pub fn set(&self) -> Option<&[String]> {
        self.set.as_deref()
    }

    /// What every matching text starts with; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether every text matches.
    pub fn matches_all(&self) -> bool {
        match &self.plan {
            Plan::Globs(globs) => globs.iter().any(|glob| {
                glob.prefix.is_empty()
                    && !glob.rest.is_empty()
                    && glob.rest.iter().all(|(gap, text)| *gap == 0 && text.is_empty())
            }),
            _ => false,
        }
    }
}

impl Glob {
    fn is_match(&self, text: &str) -> bool {
        let Some(mut text) = text.strip_prefix(self.prefix.as_str()) else { return false };
        let Some(((last_gap, suffix), middle)) = self.rest.split_last() else { return text.is_empty() };
        // Taking the first occurrence of each literal leaves most to the later ones.
        for (gap, literal) in middle {
            let Some(after) = skip_chars(text, *gap) else { return false };
            let Some((_, rest)) = after.split_once(literal.as_str()) else { return false };
            text = rest;
        }
        text.strip_suffix(suffix.as_str()).is_some_and(|gap| skip_chars(gap, *last_gap).is_some())
    }
}

/// The text after its first `n` characters, if it has as many.
fn skip_chars(text: &str, n: usize) -> Option<&str> {
    if n == 0 {
        return Some(text);
    }
    let (at, c) = text.char_indices().nth(n - 1)?;
    Some(&text[at + c.len_utf8()..])
}

/// Removes groups, and anchors where they say nothing new.
fn strip(node: Node) -> Node {
    let node = match node {
        Node::Capture(node) => return strip(*node),
        Node::Alternate(nodes) => return Node::Alternate(nodes.into_iter().map(strip).collect()),
        Node::Concat(nodes) => nodes,
        Node::Look(Look::BeginText | Look::EndText) => return Node::EMPTY,
        node => return node,
    };
    let begins = node.iter().take_while(|n| matches!(n, Node::Look(Look::BeginText))).count();
    let ends = node[begins..].iter().rev().take_while(|n| matches!(n, Node::Look(Look::EndText))).count();
    let keep = begins..node.len() - ends;
    let mut nodes: Vec<Node> = node.into_iter().take(keep.end).skip(keep.start).collect();
    if nodes.len() == 1 { strip(nodes.remove(0)) } else { Node::Concat(nodes) }
}

/// All texts that a part matches, if they are few.
fn literals(node: &Node) -> Option<Vec<String>> {
    match node {
        Node::Literal { text, fold: false } => Some(vec![text.clone()]),
        Node::Class(class) => {
            let size: usize = class.ranges().iter().map(|r| r.end() as usize - r.start() as usize + 1).sum();
            (1..=MAX_LITERALS)
                .contains(&size)
                .then(|| class.ranges().iter().flat_map(|r| r.start()..=r.end()).map(String::from).collect())
        }
        Node::Capture(node) => literals(node),
        Node::Alternate(nodes) => {
            let mut all = Vec::new();
            for node in nodes {
                all.extend(literals(node)?);
                if all.len() > MAX_LITERALS {
                    return None;
                }
            }
            Some(all)
        }
        Node::Concat(nodes) => {
            nodes.iter().try_fold(vec![String::new()], |all, node| product(&all, &literals(node)?))
        }
        Node::Repeat { node, min, max: Some(max), .. } if *max <= 8 => {
            let once = literals(node)?;
            let mut power = vec![String::new()];
            let mut all = Vec::new();
            for times in 0..=*max {
                if times >= *min {
                    all.extend(power.iter().cloned());
                }
                if all.len() > MAX_LITERALS {
                    return None;
                }
                power = product(&power, &once)?;
            }
            Some(all)
        }
        _ => None,
    }
}

/// Every text of one list followed by every one of another.
fn product(left: &[String], right: &[String]) -> Option<Vec<String>> {
    (left.len() * right.len() <= MAX_LITERALS)
        .then(|| left.iter().flat_map(|l| right.iter().map(move |r| format!("{l}{r}"))).collect())
}

/// The part as alternative patterns of literals and gaps.
fn globs(node: &Node) -> Option<Vec<Glob>> {
    match node {
        Node::Alternate(nodes) => {
            let mut all = Vec::new();
            for node in nodes {
                all.extend(globs(node)?);
                if all.len() > MAX_GLOBS {
                    return None;
                }
            }
            Some(all)
        }
        Node::Concat(nodes) => {
            let mut all = vec![Glob { prefix: String::new(), rest: Vec::new() }];
            for node in nodes {
                all = extended(all, node)?;
            }
            Some(all)
        }
        node => extended(vec![Glob { prefix: String::new(), rest: Vec::new() }], node),
    }
}

/// Every pattern with one more part at its end.
fn extended(mut globs: Vec<Glob>, node: &Node) -> Option<Vec<Glob>> {
    if let Node::Capture(node) = node {
        return extended(globs, node);
    }
    if let Some(min) = gap(node) {
        for glob in &mut globs {
            match glob.rest.last_mut() {
                Some((gap, literal)) if literal.is_empty() => *gap += min,
                _ => glob.rest.push((min, String::new())),
            }
        }
        return Some(globs);
    }
    let literals = literals(node)?;
    if globs.len() * literals.len() > MAX_GLOBS {
        return None;
    }
    let with = |glob: &Glob, literal: &str| {
        let mut glob = glob.clone();
        match glob.rest.last_mut() {
            Some((_, text)) => text.push_str(literal),
            None => glob.prefix.push_str(literal),
        }
        glob
    };
    Some(globs.iter().flat_map(|glob| literals.iter().map(move |literal| with(glob, literal))).collect())
}

/// The least number of characters of `.*`, `.+` or `.{n,}`.
fn gap(node: &Node) -> Option<usize> {
    match node {
        Node::Repeat { node, min, max: None, .. } if **node == Node::Any => Some(*min as usize),
        _ => None,
    }
}

/// A literal that every matching text starts (or ends) with.
fn edge(node: &Node, start: bool) -> String {
    match node {
        Node::Literal { text, fold: false } => text.clone(),
        Node::Capture(node) => edge(node, start),
        Node::Concat(nodes) => {
            let first = if start { nodes.first() } else { nodes.last() };
            first.map_or_else(String::new, |node| edge(node, start))
        }
        Node::Alternate(nodes) if start => {
            let edges: Vec<String> = nodes.iter().map(|node| edge(node, true)).collect();
            common_prefix(edges.iter().map(String::as_str)).to_owned()
        }
        _ => String::new(),
    }
}

fn common_prefix<'a>(mut texts: impl Iterator<Item = &'a str>) -> &'a str {
    let Some(first) = texts.next() else { return "" };
    texts.fold(first, |prefix, text| {
        let same = prefix.chars().zip(text.chars()).take_while(|(a, b)| a == b);
        &prefix[..same.map(|(c, _)| c.len_utf8()).sum()]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let kind = |pattern: &str| match FastMatcher::new(pattern).unwrap().plan {
            Plan::Set => "set",
            Plan::Globs(_) => "globs",
            Plan::Fold { .. } => "fold",
            Plan::Regex { .. } => "regex",
        };
        for (pattern, want) in [
            ("", "set"),
            ("a|b|c", "set"),
            ("^foo$", "set"),
            ("^foo$|bar", "set"),
            ("(api|web)-[0-3]", "set"),
            ("(a|b)?c{2}", "set"),
            (".*", "globs"),
            (".+", "globs"),
            ("foo.*", "globs"),
            (".*foo", "globs"),
            (".*(foo|bar).*", "globs"),
            ("foo.*|.+bar", "globs"),
            ("a.*b.+c", "globs"),
            ("(?i)foo", "fold"),
            ("(?i)foo|bar", "regex"),
            ("[0-9]+", "regex"),
            ("(?-s).*", "regex"),
            (r"foo\d+", "regex"),
            ("a^b", "regex"),
        ] {
            assert_eq!(kind(pattern), want, "{pattern}");
        }
    }

    #[test]
    fn sets_and_prefixes() {
        for (pattern, set, prefix) in [
            ("b|a", Some(vec!["a", "b"]), ""),
            ("foo(bar|baz)", Some(vec!["foobar", "foobaz"]), "fooba"),
            ("x[a-c]?", Some(vec!["x", "xa", "xb", "xc"]), "x"),
            ("", Some(vec![""]), ""),
            ("foo.*", None, "foo"),
            ("foo.*|for.+", None, "fo"),
            (r"foo\d+|foo-x", None, "foo"),
            (r"(?i)foo\d+", None, ""),
            (".*", None, ""),
        ] {
            let matcher = FastMatcher::new(pattern).unwrap();
            assert_eq!(
                matcher.set(),
                set.map(|s| s.into_iter().map(String::from).collect::<Vec<_>>()).as_deref()
            );
            assert_eq!(matcher.prefix(), prefix, "{pattern}");
        }
        assert!(FastMatcher::new(".*").unwrap().matches_all());
        assert!(FastMatcher::new("a|.*").unwrap().matches_all());
        assert!(!FastMatcher::new(".+").unwrap().matches_all());
        assert!(!FastMatcher::new("a.*").unwrap().matches_all());
    }
}
