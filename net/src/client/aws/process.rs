//! Keys that a program prints, as IAM Roles Anywhere has it. Source: "Process credential provider" of the AWS SDKs and
//! Tools Reference Guide.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::{Credentials, metadata};
use crate::client::HttpError;

/// A program that takes longer is stopped, as AWS's own clients do.
const DEADLINE: Duration = Duration::from_secs(60);
/// Of what it prints this much is read.
const MAX_OUTPUT: u64 = 1 << 20;

/// Runs a profile's `credential_process` by the shell.
pub(super) async fn credentials(command: &str) -> Result<Credentials, HttpError> {
    let failed = |why: String| HttpError::Aws(format!("credential_process: {why}"));
    // Errors are the program's own affair: what it says may hold keys.
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let run = async {
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_OUTPUT).read_to_end(&mut output).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, output))
    };
    let (status, output) = match tokio::time::timeout(DEADLINE, run).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("not done after {} s", DEADLINE.as_secs()))),
    };
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    metadata::read(&output).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_gives_keys() {
        let keys = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"2026-01-02T03:04:05Z"}"#;
        let found = credentials(&format!("echo '{keys}'")).await.unwrap();
        assert_eq!((found.access_key.as_str(), found.secret_key.reveal()), ("A", "S"));
        assert_eq!(found.session_token.unwrap().reveal(), "T");
        assert_eq!(found.expires.unwrap().to_string(), "2026-01-02T03:04:05Z");
        for (command, want) in [
            ("echo secret >&2; exit 3", "credential_process: exit status: 3"),
            (
                "echo '{\"AccessKeyId\": 7777}'",
                "credential_process: the answer is not as expected, at column 20",
            ),
        ] {
            assert_eq!(credentials(command).await.unwrap_err().to_string(), want);
        }
    }
}
