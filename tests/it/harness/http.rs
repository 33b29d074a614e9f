//! A small HTTP client for tests: every status is an answer, and the API's envelope is opened.

use std::time::Duration;

use serde_json::Value;

/// An answer.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body as text.
    pub body: String,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    /// A header's value, "" when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.body))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
    let mut response = response.map_err(|e| e.to_string())?;
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.body_mut().with_config().limit(1 << 30).read_to_string().map_err(|e| e.to_string())?,
    })
}

/// GET; an error only when there is no answer.
pub fn try_get(url: &str) -> Result<Answer, String> {
    answer(agent().get(url).call())
}

/// GET.
pub fn get(url: &str) -> Answer {
    try_get(url).unwrap_or_else(|e| panic!("GET {url}: {e}"))
}

/// POST without a body.
pub fn post(url: &str) -> Answer {
    answer(agent().post(url).send_empty()).unwrap_or_else(|e| panic!("POST {url}: {e}"))
}

/// POST of a form.
pub fn post_form(url: &str, form: &[(&str, &str)]) -> Answer {
    answer(agent().post(url).send_form(form.iter().copied())).unwrap_or_else(|e| panic!("POST {url}: {e}"))
}

/// The `data` of a successful API answer to a form.
pub fn data(url: &str, form: &[(&str, &str)]) -> Value {
    let answer = post_form(url, form);
    assert_eq!(answer.status, 200, "{url} {form:?}: {}", answer.body);
    answer.json()["data"].take()
}
