//! Sections that are declared as a table ([`section!`]): each line has a field, its type, its name in the file and how
//! it is read. Reading and printing follow from the table; rules across fields are a function beside it.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::secret::Secret;
use crate::sections::http_client::{HttpClientConfig, TlsConfig};
use crate::url::{GoUrl, refused};
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Node};

/// A section that is declared as a table.
pub trait Section: Sized {
    /// Reads and checks the section.
    fn read(f: Fields<'_>, cx: &Context<'_>) -> Result<Self, Fault>;

    /// All fields in Prometheus's order, for printing.
    fn fields(&self) -> Vec<Field<'_>>;
}

/// A field of a section that has been read.
#[derive(Debug)]
pub struct Field<'a> {
    /// Its name in the file; not that of the HTTP client and TLS, whose fields stand inline or know their name.
    pub name: &'static str,
    /// What it holds.
    pub value: FieldValue<'a>,
    /// Printed even when it is empty.
    pub always: bool,
}

/// What a field holds.
#[derive(Debug)]
#[expect(missing_docs, reason = "one per kind of field")]
pub enum FieldValue<'a> {
    Text(&'a str),
    Secret(&'a Secret),
    Int(i64),
    Bool(bool),
    /// Milliseconds.
    Duration(i64),
    Texts(&'a [String]),
    TextMap(&'a [(String, String)]),
    Url(Option<&'a GoUrl>),
    Tls(&'a TlsConfig),
    Http(&'a HttpClientConfig),
    Nested(Option<Vec<Field<'a>>>),
    List(Vec<Vec<Field<'a>>>),
}

impl FieldValue<'_> {
    /// Whether this is Go's zero value.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Secret(secret) => secret.is_empty(),
            Self::Int(n) | Self::Duration(n) => *n == 0,
            Self::Bool(b) => !b,
            Self::Texts(texts) => texts.is_empty(),
            Self::TextMap(map) => map.is_empty(),
            Self::Url(url) => url.is_none(),
            Self::Tls(tls) => **tls == TlsConfig::default(),
            Self::Http(_) => false,
            Self::Nested(fields) => fields.as_ref().is_none_or(|all| all.iter().all(|f| f.value.is_zero())),
            Self::List(sections) => sections.is_empty(),
        }
    }
}

/// The outcome of a rule across fields; a refusal names the field to point at, "" for the section.
pub type Checked = Result<(), (&'static str, String)>;

/// For sections without such rules.
pub fn no_rules<T>(_: &T) -> Checked {
    Ok(())
}

/// Refuses a field.
pub fn refuse(field: &'static str, message: impl Into<String>) -> Checked {
    Err((field, message.into()))
}

/// Refuses a field that is empty.
pub fn require(field: &'static str, is_set: bool, message: &str) -> Checked {
    if is_set { Ok(()) } else { refuse(field, message) }
}

/// Refuses a text that is no URL.
pub fn check_url(field: &'static str, text: &str) -> Checked {
    GoUrl::parse(text).map(drop).map_err(|e| (field, refused(text, &e)))
}

/// Refuses a text that is no URL with scheme and host.
pub fn check_server_url(field: &'static str, text: &str, message: &str) -> Checked {
    match GoUrl::parse(text) {
        Err(e) => refuse(field, refused(text, &e)),
        Ok(url) if url.scheme().is_empty() || url.host().is_empty() => refuse(field, message),
        Ok(_) => Ok(()),
    }
}

/// Refuses none and both of `secret_key` and `secret_key_file`.
pub fn check_secret_key(secret: &Secret, file: Option<&Path>) -> Checked {
    match (secret.is_empty(), file) {
        (true, None) => refuse("secret_key", "one of secret_key & secret_key_file must be configured"),
        (false, Some(_)) => {
            refuse("secret_key_file", "at most one of secret_key & secret_key_file must be configured")
        }
        _ => Ok(()),
    }
}

/// As Google's uuid package: 8-4-4-4-12 hex digits, or those 32 alone, in braces, or after `urn:uuid:`.
pub fn is_uuid(text: &str) -> bool {
    let braced = || text.strip_prefix('{')?.strip_suffix('}');
    let bare = text.strip_prefix("urn:uuid:").or_else(braced).unwrap_or(text);
    let lengths: Vec<usize> = bare.split('-').map(str::len).collect();
    let hex = bare.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    hex && (lengths == [8, 4, 4, 4, 12] || lengths == [32])
}

/// How a field is read and printed.
pub struct Line<R, T> {
    /// Reads the field of a name.
    pub read: R,
    /// For printing.
    pub show: for<'v> fn(&'v T) -> FieldValue<'v>,
    /// Printed even when it is empty.
    pub always: bool,
}

/// Reads a field.
pub trait Read<T>: Fn(&mut Fields<'_>, &'static str, &Context<'_>) -> Result<T, Fault> {}

impl<T, R: Fn(&mut Fields<'_>, &'static str, &Context<'_>) -> Result<T, Fault>> Read<T> for R {}

const fn line<T, R>(read: R, show: for<'v> fn(&'v T) -> FieldValue<'v>) -> Line<R, T>
where
    R: Fn(&mut Fields<'_>, &'static str, &Context<'_>) -> Result<T, Fault>,
{
    Line { read, show, always: false }
}

impl<R, T> Line<R, T> {
    /// Printed even when it is empty.
    pub fn always(self) -> Self {
        Self { always: true, ..self }
    }
}

/// Any scalar as text.
pub fn text(default: &'static str) -> Line<impl Read<String>, String> {
    line(move |f, name, _| f.text(name, default), |value| FieldValue::Text(value))
}

/// A secret.
pub fn secret() -> Line<impl Read<Secret>, Secret> {
    line(|f, name, _| f.secret(name), |value| FieldValue::Secret(value))
}

/// A whole number.
pub fn int(default: i64) -> Line<impl Read<i64>, i64> {
    line(move |f, name, _| f.int(name, default), |value| FieldValue::Int(*value))
}

/// A boolean.
pub fn boolean(default: bool) -> Line<impl Read<bool>, bool> {
    line(move |f, name, _| f.bool(name, default), |value| FieldValue::Bool(*value))
}

/// A duration in milliseconds; the default is in seconds.
pub fn duration(default_seconds: i64) -> Line<impl Read<i64>, i64> {
    line(move |f, name, _| f.duration(name, default_seconds * 1_000), |value| FieldValue::Duration(*value))
}

/// How often to ask, in milliseconds; the default is in seconds. Prometheus accepts 0 and panics when it comes to use
/// it.
pub fn refresh_interval(default_seconds: i64) -> Line<impl Read<i64>, i64> {
    let read = move |f: &mut Fields<'_>, name, _: &Context<'_>| match f
        .duration(name, default_seconds * 1_000)?
    {
        ..=0 => Err(f.fault(name, format!("{name} must be greater than 0; leave it out for the default"))),
        ms => Ok(ms),
    };
    line(read, |value| FieldValue::Duration(*value))
}

/// A list of texts.
pub fn texts() -> Line<impl Read<Vec<String>>, Vec<String>> {
    line(|f, name, _| f.texts(name), |value| FieldValue::Texts(value))
}

type TextMap = Vec<(String, String)>;

/// Names with texts, sorted by name.
pub fn text_map() -> Line<impl Read<TextMap>, TextMap> {
    line(|f, name, _| f.text_map(name), |value| FieldValue::TextMap(value))
}

/// A URL that may be missing.
pub fn url() -> Line<impl Read<Option<GoUrl>>, Option<GoUrl>> {
    line(|f, name, _| f.url(name), |value| FieldValue::Url(value.as_ref()))
}

/// A path, relative to the configuration file.
pub fn path() -> Line<impl Read<Option<PathBuf>>, Option<PathBuf>> {
    let read = |f: &mut Fields<'_>, name, cx: &Context<'_>| {
        let path = cx.path(&f.text(name, "")?);
        Ok((!path.is_empty()).then(|| PathBuf::from(path)))
    };
    line(read, |value| FieldValue::Text(value.as_deref().and_then(|path| path.to_str()).unwrap_or_default()))
}

/// TLS.
pub fn tls() -> Line<impl Read<TlsConfig>, TlsConfig> {
    line(|f, _, cx| TlsConfig::read(f, cx), |value| FieldValue::Tls(value))
}

/// The HTTP client, whose fields stand inline.
pub fn http() -> Line<impl Read<HttpClientConfig>, HttpClientConfig> {
    line(|f, _, cx| HttpClientConfig::read(f, cx, true), |value| FieldValue::Http(value))
}

/// A value that is one of a few names.
pub trait Choice: Copy + PartialEq + 'static {
    /// All values with their names.
    const ALL: &'static [(&'static str, Self)];

    /// Its name in the configuration.
    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

fn read_choice<T: Choice>(f: &Fields<'_>, name: &'static str, text: &str) -> Result<T, Fault> {
    let choice = T::ALL.iter().find(|(known, _)| *known == text).map(|(_, value)| *value);
    choice.ok_or_else(|| {
        let names: Vec<&str> = T::ALL.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        f.fault(name, format!("{}: expected one of {}, found {text:?}", f.path_of(name), names.join(", ")))
    })
}

/// One of a few names, with the default.
pub fn one_of<T: Choice>(default: T) -> Line<impl Read<T>, T> {
    let read = move |f: &mut Fields<'_>, name, _: &Context<'_>| {
        let text = f.text(name, default.as_str())?;
        read_choice(f, name, &text)
    };
    line(read, |value| FieldValue::Text(value.as_str()))
}

/// One of a few names that must be there, with what is said when it is not.
pub fn required<T: Choice>(message: &'static str) -> Line<impl Read<T>, T> {
    let read = move |f: &mut Fields<'_>, name, _: &Context<'_>| match f.text(name, "")? {
        text if text.is_empty() => Err(f.fault(name, message)),
        text => read_choice(f, name, &text),
    };
    line(read, |value| FieldValue::Text(value.as_str()))
}

/// A section within that may be missing.
pub fn nested<T: Section>() -> Line<impl Read<Option<T>>, Option<T>> {
    line(
        |f, name, cx| f.section(name, |f| T::read(f, cx)),
        |value| FieldValue::Nested(value.as_ref().map(T::fields)),
    )
}

/// A section within that is always there.
pub fn inner<T: Section>() -> Line<impl Read<T>, T> {
    let read = |f: &mut Fields<'_>, name, cx: &Context<'_>| match f.section(name, |f| T::read(f, cx))? {
        Some(section) => Ok(section),
        None => T::read(Fields::new(&Node::null(), "")?, cx),
    };
    line(read, |value| FieldValue::Nested(Some(value.fields())))
}

/// A list of sections.
pub fn list<T: Section>() -> Line<impl Read<Vec<T>>, Vec<T>> {
    line(
        |f, name, cx| f.list(name, |node, path| T::read(Fields::new(node, path)?, cx)),
        |value| FieldValue::List(value.iter().map(T::fields).collect()),
    )
}

/// Declares a section as a table. Each line has a field, its type, its name in the file, and how it is read; a doc
/// comment may say more than the name. Behind the section's name stands the function that checks rules across fields.
macro_rules! section {
    (
        $(#[$doc:meta])*
        pub struct $section:ident, $rules:expr => {
            $( $(#[$field_doc:meta])* $field:ident: $type:ty = $name:literal, $line:expr; )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $section {
            $(
                #[doc = concat!("`", $name, "`")]
                #[doc = ""]
                $(#[$field_doc])*
                pub $field: $type,
            )*
        }

        impl $crate::sections::table::Section for $section {
            fn read(
                mut f: $crate::yaml::fields::Fields<'_>,
                cx: &$crate::context::Context<'_>,
            ) -> Result<Self, $crate::yaml::Fault> {
                let section = Self { $( $field: ($line.read)(&mut f, $name, cx)?, )* };
                f.finish()?;
                let rules: fn(&Self) -> $crate::sections::table::Checked = $rules;
                rules(&section).map_err(|(field, message)| match field {
                    "" => f.fault_here(message),
                    field => f.fault(field, message),
                })?;
                Ok(section)
            }

            fn fields(&self) -> Vec<$crate::sections::table::Field<'_>> {
                vec![ $( {
                    let line = $line;
                    $crate::sections::table::Field {
                        name: $name,
                        value: (line.show)(&self.$field),
                        always: line.always,
                    }
                }, )* ]
            }
        }
    };
}

/// Declares a type whose values are names.
macro_rules! choice {
    (
        $(#[$doc:meta])*
        pub enum $type:ident { $( $(#[$variant_doc:meta])* $variant:ident = $name:literal, )* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type {
            $( #[doc = concat!("`", $name, "`")] $(#[$variant_doc])* $variant, )*
        }

        impl $crate::sections::table::Choice for $type {
            const ALL: &'static [(&'static str, Self)] = &[ $( ($name, Self::$variant), )* ];
        }
    };
}

pub(crate) use choice;
pub(crate) use section;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Defaults;
    use crate::yaml::parse;

    choice! {
        /// A colour.
        pub enum Colour { Red = "red", Blue = "blue", }
    }

    section! {
        /// Within.
        pub struct Within, |s| require("a", s.a != "bad", "a is bad") => {
            a: String = "a", text("x").always();
        }
    }

    section! {
        /// One of each kind.
        pub struct Sample, no_rules => {
            text: String = "text", text("t");
            key: Secret = "key", secret();
            int: i64 = "int", int(3).always();
            flag: bool = "flag", boolean(true);
            wait_ms: i64 = "wait", duration(5);
            refresh_ms: i64 = "refresh_interval", refresh_interval(60);
            names: Vec<String> = "names", texts();
            map: Vec<(String, String)> = "map", text_map();
            at: Option<GoUrl> = "at", url();
            file: Option<PathBuf> = "file", path();
            colour: Colour = "colour", one_of(Colour::Blue);
            must: Colour = "must", required("must missing");
            maybe: Option<Within> = "maybe", nested();
            inner: Within = "inner", inner();
            list: Vec<Within> = "list", list();
        }
    }

    fn read(text: &str) -> Result<Sample, String> {
        let (defaults, node) = (Defaults::default(), parse(text).unwrap());
        let cx = Context::new(Path::new("/etc/p/p.yml"), &defaults);
        let read = Fields::new(&node, "s").and_then(|f| Sample::read(f, &cx));
        read.map_err(|fault| format!("{}: {fault}", fault.pos))
    }

    #[test]
    fn what_is_missing_has_its_default() {
        let sample = read("must: red").unwrap();
        assert_eq!((sample.text.as_str(), sample.int, sample.flag), ("t", 3, true));
        assert_eq!((sample.wait_ms, sample.refresh_ms), (5_000, 60_000));
        assert_eq!((sample.colour, sample.must), (Colour::Blue, Colour::Red));
        assert_eq!((sample.at, sample.file, sample.maybe), (None, None, None));
        assert_eq!((sample.inner.a.as_str(), sample.list.len()), ("x", 0));
    }

    #[test]
    fn what_is_written_is_read_and_shown_in_order() {
        let text = "{must: red, file: f, at: 'http://h', key: k, wait: null, list: [{a: y}, {}], inner: {a: z}, int: 0}";
        let sample = read(text).unwrap();
        assert_eq!(sample.file.as_deref(), Some(Path::new("/etc/p/f")));
        assert_eq!(sample.list[0].a, "y");
        let shown: Vec<&str> =
            sample.fields().iter().filter(|f| f.always || !f.value.is_zero()).map(|f| f.name).collect();
        let want = "text key int flag refresh_interval at file colour must inner list";
        assert_eq!(shown.join(" "), want);
    }

    #[test]
    fn refusals_say_where_and_why() {
        for (text, want) in [
            ("{}", "1:1: must missing"),
            ("must: ''", "1:7: must missing"),
            ("must: green", "1:7: s.must: expected one of red, blue, found \"green\""),
            ("{must: red, colour: ''}", "1:21: s.colour: expected one of red, blue, found \"\""),
            (
                "{must: red, refresh_interval: 0s}",
                "1:31: refresh_interval must be greater than 0; leave it out for the default",
            ),
            (
                "{must: red, refresh_interval: null}",
                "1:13: refresh_interval must be greater than 0; leave it out for the default",
            ),
            ("{must: red, inner: {a: bad}}", "1:24: a is bad"),
            ("{must: red, list: [{b: 1}]}", "1:21: unknown field \"b\" in s.list[0]; did you mean \"a\"?"),
            ("{must: red, nope: 1}", "1:13: unknown field \"nope\" in s"),
        ] {
            assert_eq!(read(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn uuids() {
        for (text, want) in [
            ("11111111-2222-3333-4444-555555555555", true),
            ("{11111111-2222-3333-4444-555555555555}", true),
            ("urn:uuid:11111111-2222-3333-4444-555555555555", true),
            ("11111111222233334444555555555555", true),
            ("1111111-2222-3333-4444-555555555555", false),
            ("", false),
        ] {
            assert_eq!(is_uuid(text), want, "{text}");
        }
    }
}
