//! Reading a token endpoint's answer: JSON, or a form from those that say so.

use std::time::Duration;

use serde_json::Value;

/// A token.
#[derive(Debug, PartialEq)]
pub(super) struct Token {
    pub access_token: String,
    token_type: String,
    /// `None` for a token without end.
    pub lifetime: Option<Duration>,
}

/// Longer lifetimes are as good as this one.
const MAX_SECONDS: f64 = i32::MAX as f64;
/// Of an answer that is shown.
const MAX_SHOWN: usize = 512;

impl Token {
    /// What stands before the token in the Authorization header.
    pub fn kind(&self) -> &str {
        let kind = &self.token_type;
        match () {
            () if kind.is_empty() || kind.eq_ignore_ascii_case("bearer") => "Bearer",
            () if kind.eq_ignore_ascii_case("mac") => "MAC",
            () if kind.eq_ignore_ascii_case("basic") => "Basic",
            () => kind,
        }
    }
}

/// What an answer says, whatever its form.
#[derive(Default)]
struct Fields {
    access_token: String,
    token_type: String,
    expires_in: f64,
    error: String,
    error_description: String,
    error_uri: String,
}

/// Takes the token out of an answer.
pub(super) fn read(is_success: bool, status: &str, content_type: &str, body: &[u8]) -> Result<Token, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let fields = match kind.as_str() {
        "application/x-www-form-urlencoded" | "text/plain" => Ok(from_form(body)),
        _ => from_json(body),
    };
    let refused = || {
        let text: String = String::from_utf8_lossy(body).chars().take(MAX_SHOWN).collect();
        format!("cannot fetch token: {status}\nResponse: {text}")
    };
    let fields = match fields {
        Ok(fields) => fields,
        Err(_) if !is_success => return Err(refused()),
        Err(error) => return Err(error),
    };
    // Some servers answer 200 and an error.
    if !fields.error.is_empty() {
        let mut text = format!("{:?}", fields.error);
        for more in [&fields.error_description, &fields.error_uri] {
            if !more.is_empty() {
                text.push_str(&format!(" {more:?}"));
            }
        }
        return Err(text);
    }
    if !is_success {
        return Err(refused());
    }
    if fields.access_token.is_empty() {
        return Err("server response missing access_token".to_owned());
    }
    let seconds = fields.expires_in;
    // A lifetime in the past is one: the next request needs another token.
    let lifetime = (seconds != 0.0).then(|| Duration::from_secs_f64(seconds.clamp(0.0, MAX_SECONDS)));
    Ok(Token { access_token: fields.access_token, token_type: fields.token_type, lifetime })
}

fn from_form(body: &[u8]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body) {
        let field = match &*name {
            "access_token" => &mut fields.access_token,
            "token_type" => &mut fields.token_type,
            "error" => &mut fields.error,
            "error_description" => &mut fields.error_description,
            "error_uri" => &mut fields.error_uri,
            "expires_in" => {
                fields.expires_in = value.parse::<i64>().unwrap_or(0) as f64;
                continue;
            }
            _ => continue,
        };
        // The first value counts.
        if field.is_empty() {
            *field = value.into_owned();
        }
    }
    fields
}

fn from_json(body: &[u8]) -> Result<Fields, String> {
    let answer: Value =
        serde_json::from_slice(body).map_err(|error| format!("cannot parse json: {error}"))?;
    let Value::Object(object) = &answer else {
        return Err("cannot parse json: expected an object with access_token".to_owned());
    };
    // Names match in any case, as in Go.
    let field = |name: &str| {
        object.get(name).or_else(|| object.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v))
    };
    let text = |name: &str| match field(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("cannot parse json: {name} is not a text")),
    };
    // Seconds; some servers send them as text, some with a fraction.
    let expires_in = match field("expires_in") {
        None | Some(Value::Null) => 0.0,
        Some(Value::Number(number)) => number.as_f64().unwrap_or(0.0),
        Some(Value::String(text)) if text.is_empty() => 0.0,
        Some(Value::String(text)) => {
            text.parse().map_err(|_| format!("cannot parse json: expires_in {text:?} is not a number"))?
        }
        Some(_) => return Err("cannot parse json: expires_in is not a number".to_owned()),
    };
    Ok(Fields {
        access_token: text("access_token")?,
        token_type: text("token_type")?,
        expires_in,
        error: text("error")?,
        error_description: text("error_description")?,
        error_uri: text("error_uri")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let json = "application/json; charset=utf-8";
        let form = "application/x-www-form-urlencoded";
        for (content_type, body, kind, seconds) in [
            (json, r#"{"access_token":"t","token_type":"bearer","expires_in":3600}"#, "Bearer", Some(3600.0)),
            (json, r#"{"access_token":"t","expires_in":"60"}"#, "Bearer", Some(60.0)),
            (json, r#"{"access_token":"t","expires_in":59.5,"token_type":"MAC"}"#, "MAC", Some(59.5)),
            (json, r#"{"access_token":"t","expires_in":null}"#, "Bearer", None),
            (json, r#"{"access_token":"t","expires_in":0}"#, "Bearer", None),
            (json, r#"{"access_token":"t","expires_in":-5}"#, "Bearer", Some(0.0)),
            (json, r#"{"access_token":"t","expires_in":99999999999}"#, "Bearer", Some(MAX_SECONDS)),
            (json, r#"{"Access_Token":"t","more":[1]}"#, "Bearer", None),
            ("", r#"{"access_token":"t","token_type":"Own"}"#, "Own", None),
            (form, "access_token=t&token_type=BEARER&expires_in=60", "Bearer", Some(60.0)),
            ("text/plain; charset=utf-8", "access_token=t&token_type=basic&expires_in=x", "Basic", None),
        ] {
            let token = read(true, "200 OK", content_type, body.as_bytes()).unwrap();
            let got = (token.access_token.as_str(), token.kind(), token.lifetime.map(|d| d.as_secs_f64()));
            assert_eq!(got, ("t", kind, seconds), "{body}");
        }
    }

    #[test]
    fn refusals() {
        for (is_success, content_type, body, want) in [
            (true, "", "{}", "server response missing access_token"),
            (true, "", "[]", "cannot parse json: expected an object with access_token"),
            (
                true,
                "",
                r#"{"access_token":"t","expires_in":true}"#,
                "cannot parse json: expires_in is not a number",
            ),
            (false, "", "no json", "cannot fetch token: 401 No\nResponse: no json"),
            (
                false,
                "",
                r#"{"access_token":"t"}"#,
                "cannot fetch token: 401 No\nResponse: {\"access_token\":\"t\"}",
            ),
            (false, "", r#"{"error":"invalid_client"}"#, r#""invalid_client""#),
            (true, "", r#"{"error":"e","error_description":"d","error_uri":"u"}"#, r#""e" "d" "u""#),
            (true, "text/plain", "error=e&error_description=d+d", r#""e" "d d""#),
        ] {
            let error = read(is_success, "401 No", content_type, body.as_bytes()).unwrap_err();
            assert_eq!(error, want, "{body}");
        }
    }
}
