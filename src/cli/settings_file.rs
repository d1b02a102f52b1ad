//! Settings from a file: an admin's machine has none of the function app's.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::environment::Environment;

/// The forms of such a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    /// What `az functionapp config appsettings list` prints.
    List(Vec<Setting>),
    /// A local.settings.json.
    Local {
        #[serde(rename = "Values")]
        values: BTreeMap<String, String>,
    },
    /// Names and values.
    Map(BTreeMap<String, String>),
}

#[derive(Deserialize)]
struct Setting {
    name: String,
    value: Option<String>,
}

/// Adds the settings in the file at `path` to `env`, whose own have precedence.
///
/// # Errors
/// When the file cannot be read, or has another form. Values are not quoted: some are secrets.
pub(super) fn read(path: &Path, env: Environment) -> Result<Environment, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("--settings {}: {error}", path.display()))?;
    let file = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| {
        format!(
            "--settings {}: not the JSON that `az functionapp config appsettings list` prints, and no local.settings.json",
            path.display()
        )
    })?;
    let values: BTreeMap<String, String> = match file {
        File::Map(values) | File::Local { values } => values,
        File::List(list) => list.into_iter().filter_map(|s| Some((s.name, s.value?))).collect(),
    };
    Ok(env.or(values.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `text` into a file of its own and reads it.
    fn read_text(name: &str, text: &str) -> Result<Environment, String> {
        let path = std::env::temp_dir().join(format!("firstpass-{}-{name}.json", std::process::id()));
        fs::write(&path, text).unwrap();
        let read = read(&path, [("MAIL_FROM", "own@contoso.com")].into_iter().collect());
        fs::remove_file(&path).unwrap();
        read
    }

    #[test]
    fn each_form_is_read_and_the_environment_has_precedence() {
        for (name, text) in [
            (
                "list",
                r#"[{"name": "LEDGER_URL", "slotSetting": false, "value": "u"}, {"name": "NONE", "value": null}]"#,
            ),
            (
                "local",
                r#"{"IsEncrypted": false, "Values": {"LEDGER_URL": "u", "MAIL_FROM": "other@contoso.com"}}"#,
            ),
            ("map", "\u{feff}{\"LEDGER_URL\": \"u\", \"MAIL_FROM\": \"other@contoso.com\"}"),
        ] {
            let env = read_text(name, text).unwrap();
            assert_eq!(
                (env.get("LEDGER_URL"), env.get("MAIL_FROM")),
                (Some("u"), Some("own@contoso.com")),
                "{name}"
            );
        }
    }

    #[test]
    fn another_file_is_refused_without_a_word_of_it() {
        for text in ["", "secret", r#"{"Values": {"KEY": {"secret": 1}}}"#, r#"["secret"]"#] {
            let refused = read_text("other", text).unwrap_err();
            assert!(refused.contains("appsettings list") && !refused.contains("secret"), "{refused}");
        }
        assert!(
            read(Path::new("/no/such/file"), Environment::default()).unwrap_err().contains("/no/such/file")
        );
    }
}
