//! AWS's own configuration files, `~/.aws/config` and `~/.aws/credentials`: profiles of names and values. Source:
//! "Configuration and credential file settings" of the AWS SDKs and Tools Reference Guide.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Variables;
use crate::client::HttpError;
use crate::client::error::io_text;

/// Larger files are not read.
const MAX_FILE: u64 = 1 << 20;

/// The settings of one profile, by their names in lower case.
pub(super) type Profile = BTreeMap<String, String>;

/// All profiles, by name. Of a setting in both files, that of the credentials file counts.
pub(super) async fn read_profiles(variables: &Variables) -> Result<BTreeMap<String, Profile>, HttpError> {
    let mut profiles = BTreeMap::new();
    if let Some(path) = path(variables, "AWS_CONFIG_FILE", "config")
        && let Some(text) = read(&path).await?
    {
        parse(&text, true, &mut profiles);
    }
    if let Some(path) = path(variables, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
        && let Some(text) = read(&path).await?
    {
        parse(&text, false, &mut profiles);
    }
    Ok(profiles)
}

/// The profile that is meant when the configuration names none.
pub(super) fn default_name(variables: &Variables) -> String {
    let named = variables("AWS_PROFILE").or_else(|| variables("AWS_DEFAULT_PROFILE"));
    named.unwrap_or_else(|| "default".to_owned())
}

fn path(variables: &Variables, variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(path) = variables(variable) {
        return Some(path.into());
    }
    Some(Path::new(&variables("HOME")?).join(".aws").join(name))
}

/// A file's text, or nothing if there is no such file, which is no fault.
async fn read(path: &Path) -> Result<Option<String>, HttpError> {
    let fault = |reason| HttpError::File { path: path.to_owned(), reason };
    match tokio::fs::metadata(path).await {
        Ok(metadata) if metadata.len() > MAX_FILE => {
            return Err(fault(format!("larger than {MAX_FILE} bytes")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(io_text(&error))),
    }
    tokio::fs::read_to_string(path).await.map(Some).map_err(|error| fault(io_text(&error)))
}

/// Adds a file's profiles. In the config file all but the default profile have a word before their name.
fn parse(text: &str, is_config: bool, profiles: &mut BTreeMap<String, Profile>) {
    let mut current: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = trimmed.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default().trim();
            let name = match header.split_once(char::is_whitespace) {
                Some(("profile", name)) if is_config => Some(name.trim()),
                None if !is_config || header == "default" => Some(header),
                // Of another kind, such as `[sso-session x]`.
                _ => None,
            };
            current = name.map(str::to_owned);
            if let Some(name) = &current {
                profiles.entry(name.clone()).or_default();
            }
            continue;
        }
        // An indented line belongs to the setting above it.
        if line.starts_with([' ', '\t']) {
            continue;
        }
        if let (Some(profile), Some((name, value))) =
            (current.as_ref().and_then(|name| profiles.get_mut(name)), trimmed.split_once('='))
        {
            profile.insert(name.trim().to_ascii_lowercase(), without_comment(value).to_owned());
        }
    }
}

/// A comment after a value starts with white space.
fn without_comment(value: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    value.get(..end.unwrap_or(value.len())).unwrap_or(value).trim()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn both_files() {
        let dir = tempfile::tempdir().unwrap();
        let aws = dir.path().join(".aws");
        std::fs::create_dir(&aws).unwrap();
        std::fs::write(
            aws.join("config"),
            "# mine\n[default]\nregion = eu-west-1 ; here\ns3 =\n  region = no\n[profile a b]\nROLE_ARN=r\n[c]\nregion=x\n\
             [sso-session s]\nregion=y\n",
        )
        .unwrap();
        std::fs::write(
            aws.join("credentials"),
            "[default]\naws_access_key_id = AK\naws_secret_access_key = a#b=c\nregion=eu-west-2\n",
        )
        .unwrap();
        let home = dir.path().display().to_string();
        let variables: Variables = Arc::new(move |name| (name == "HOME").then(|| home.clone()));
        let profiles = read_profiles(&variables).await.unwrap();
        assert_eq!(profiles.keys().collect::<Vec<_>>(), ["a b", "default"]);
        assert_eq!(profiles["a b"]["role_arn"], "r");
        let default = &profiles["default"];
        assert_eq!((default["region"].as_str(), default["s3"].as_str()), ("eu-west-2", ""));
        assert_eq!(default["aws_secret_access_key"], "a#b=c");

        let none: Variables = Arc::new(|_| None);
        assert_eq!(read_profiles(&none).await.unwrap().len(), 0);
        assert_eq!((default_name(&none).as_str(), default_name(&variables).as_str()), ("default", "default"));
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        let variables: Variables = Arc::new(move |name| (name == "AWS_CONFIG_FILE").then(|| path.clone()));
        let error = read_profiles(&variables).await.unwrap_err().to_string();
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
    }
}
