//! The table `cases.tsv` holds what Go itself says: an expression, then either its error, or its number of groups and
//! the inputs that `^(?s:expression)$` matches, as a hexadecimal number with one bit for each of [`inputs`].

use proptest::prelude::*;

use super::*;

fn inputs() -> Vec<String> {
    let first = [
        "",
        "a",
        "b",
        "c",
        "foo",
        "bar",
        "foobar",
        "foobaz",
        "barfoo",
        "xfoox",
        "Foo",
        "FOO",
        "aa",
        "aaa",
        "ab",
        "abc",
        "aXc",
        "a\nb",
        "\n",
        "a.b",
        "axb",
        "api-2",
        "web-4",
        "k",
        "K",
        "K",
        "s",
        "ſ",
        "STRASSE",
        "straße",
        "STRAẞE",
        "σ",
        "ς",
        "Σ",
        "é",
        "É",
        "ü",
        "日本語",
        "日",
        "1",
        "200",
        "404",
        "-12.5",
        "_",
        " ",
        "\t",
        "\x0b",
        "\x0c",
        "\r",
        "]",
        "[",
        "-",
        "^",
        "&",
        "&&",
        "|",
        "~",
        "{",
        "}",
        "{1}",
        "a{",
        "a{,2}",
        "\\",
        "*",
        "+",
        "?",
        ".",
        "$",
        "a-",
        "A",
        "S",
        "Q",
        "{41}",
        "a*",
        "foo-x-bar",
        "https://x.y/z",
        "http://x/",
        "node.x",
        "get",
        "GET",
        "gEt",
        "😀",
        "\x00",
        "\x01",
        "\x07",
        "\x1b",
        "abd",
        "acd",
        "ad",
        "y",
        "abbd",
        "ǅ",
        "E",
        "e",
        "0123",
        "é.",
        "x",
        "ab+",
        "abb",
        "a b",
        "a\tb",
        "a|b",
        "z",
        "9",
        "aaaaaa",
        "aaaaaaaaaa",
    ];
    let last = ["#", "a#b", "<", ">", "\x08"];
    let repeated = [100, 1000].map(|n| "a".repeat(n));
    first.into_iter().map(String::from).chain(repeated).chain(last.into_iter().map(String::from)).collect()
}

type Case = (&'static str, Result<(usize, u128), &'static str>);

fn cases() -> Vec<Case> {
    include_str!("cases.tsv")
        .lines()
        .map(|line| {
            let (pattern, want) = line.split_once('\t').unwrap();
            let want = match want.strip_prefix('!') {
                Some(error) => Err(error),
                None => {
                    let (groups, matches) = want.split_once('\t').unwrap();
                    Ok((groups.parse().unwrap(), u128::from_str_radix(matches, 16).unwrap()))
                }
            };
            (pattern, want)
        })
        .collect()
}

#[test]
fn agrees_with_go() {
    let inputs = inputs();
    assert!(cases().len() > 300 && inputs.len() == 113);
    let mut wrong = Vec::new();
    for (pattern, want) in cases() {
        let fast = FastMatcher::new(pattern);
        let plain = Regexp::new(pattern);
        match want {
            Err(want) => {
                for got in [fast.map(|_| ()), plain.map(|_| ())] {
                    match got {
                        Ok(()) => wrong.push(format!("{pattern}: accepted, but {want}")),
                        Err(got) if got.to_string() != want => {
                            wrong.push(format!("{pattern}: {got} instead of {want}"));
                        }
                        Err(_) => {}
                    }
                }
            }
            Ok((groups, matches)) => {
                let fast = match fast {
                    Ok(fast) => fast,
                    Err(e) => {
                        wrong.push(format!("{pattern}: {e}"));
                        continue;
                    }
                };
                // An open quotation swallows the wrapping, in Go as well.
                let end = if pattern.contains(r"\Q") && !pattern.contains(r"\E") { r"\E" } else { "" };
                let anchored = Regexp::anchored(&format!("{pattern}{end}")).unwrap();
                if plain.unwrap().group_count() != groups + 1 || anchored.group_count() != groups + 1 {
                    wrong.push(format!("{pattern}: another number of groups than {groups}"));
                }
                for (i, input) in inputs.iter().enumerate() {
                    let want = matches & (1 << i) != 0;
                    if fast.is_match(input) != want {
                        wrong.push(format!("{pattern}: fast on {input:?} is not {want}"));
                    }
                    if anchored.is_match(input) != want {
                        wrong.push(format!("{pattern}: on {input:?} is not {want}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bounds() {
    let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(FastMatcher::new(&nested(249)).unwrap().is_match("a"));
    assert!(Regexp::anchored(&nested(248)).unwrap().is_match("a"));
    assert_eq!(FastMatcher::new(&nested(9999)).unwrap_err().kind, ErrorKind::NestingDepth);
    assert_eq!(FastMatcher::new(r"(\pL\pM\pN\PL){1000}").unwrap_err().kind, ErrorKind::Large);
    assert_eq!(
        Regexp::anchored("(a").unwrap_err().to_string(),
        "error parsing regexp: missing closing ): `^(?s:(a)$`"
    );
    assert!(Regexp::anchored("a)(b").unwrap().is_match("ab"), "as in Prometheus's relabelling");
}

proptest! {
    /// Whatever plan the fast matcher makes, it must agree with the expression.
    #[test]
    fn fast_agrees_with_slow(
        pattern in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "ab", ".*", ".+", ".", ".{2,}", "|", "(a|b)", "(", ")", "?", "a{2}", "[ab]", "^", "$", "(?i)", "é", "(?-s)", "\n",
            ]),
            0..7,
        ),
        texts in prop::collection::vec("[abA\néc]{0,6}", 20),
    ) {
        let pattern = pattern.concat();
        if let (Ok(fast), Ok(slow)) = (FastMatcher::new(&pattern), Regexp::anchored(&pattern)) {
            for text in texts {
                prop_assert_eq!(fast.is_match(&text), slow.is_match(&text), "{} on {:?}", pattern, text);
                if fast.is_match(&text) {
                    prop_assert!(text.starts_with(fast.prefix()));
                    prop_assert!(fast.set().is_none_or(|set| set.contains(&text)));
                }
                prop_assert!(!fast.matches_all() || fast.is_match(&text));
            }
        }
    }

    #[test]
    fn no_input_panics(pattern in "\\PC{0,20}", more in r"[\[\](){}|*+?\\^$.:,0-9a-zA-Z<>P-]{0,20}") {
        for pattern in [pattern, more] {
            // What the parser accepts must compile, except for its size.
            for result in [FastMatcher::new(&pattern).map(|_| ()), Regexp::new(&pattern).map(|_| ())] {
                prop_assert!(result.is_ok() || result.is_err_and(|e| e.kind != ErrorKind::Large));
            }
        }
    }
}
