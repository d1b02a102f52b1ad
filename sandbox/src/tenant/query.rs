//! Percent encoding and OData's query options.

use super::{
    schema::{Schema, check_select},
    wire::{ErrorResponse, GraphCall},
};

const TOP_MAX: usize = 999;
/// The page size without `$top`.
const TOP_DEFAULT: usize = 100;

/// The system query options of OData and Graph; no other option begins with a dollar sign.
const SYSTEM_OPTIONS: &[&str] = &[
    "$apply",
    "$compute",
    "$count",
    "$deltatoken",
    "$expand",
    "$filter",
    "$format",
    "$index",
    "$levels",
    "$orderby",
    "$schemaversion",
    "$search",
    "$select",
    "$skip",
    "$skiptoken",
    "$top",
    "$whatif",
];

/// The decoded query options, in the order sent.
#[derive(Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(target: &str) -> Result<Self, ErrorResponse> {
        let text = target.split_once('?').map_or("", |(_, query)| query);
        let mut options: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode_query(name)?;
            if options.iter().any(|(seen, _)| *seen == name) {
                let message = format!(
                    "Query option '{name}' was specified more than once, but it must be specified at most once."
                );
                return Err(ErrorResponse::bad_request(message));
            }
            options.push((name, decode_query(value)?));
        }
        Ok(Self(options))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
    }

    /// Refuses every option that is not in `names`: with Graph's error if Graph refuses it too, else with 501.
    pub(super) fn allow(&self, call: &GraphCall, names: &[&str]) -> Result<(), ErrorResponse> {
        match self.0.iter().find(|(option, _)| !names.contains(&option.as_str())) {
            None => Ok(()),
            Some((option, _)) => Err(self.refusal(call, option)),
        }
    }

    fn refusal(&self, call: &GraphCall, option: &str) -> ErrorResponse {
        match option {
            "$skip" => ErrorResponse::request_bad_request("'$skip' is not supported by the service."),
            "$search" if !call.is_advanced() => ErrorResponse::unsupported_query(
                "Request with $search query parameter only works through MSGraph with a special request header: \
                 'ConsistencyLevel: eventual'",
            ),
            "$orderby" if self.get("$filter").is_some() && !call.is_advanced() => {
                ErrorResponse::unsupported_query("Sorting not supported for current query.")
            }
            _ if option.starts_with('$') && !SYSTEM_OPTIONS.contains(&option) => {
                ErrorResponse::bad_request(format!("The query parameter '{option}' is not known."))
            }
            _ => ErrorResponse::not_implemented(&format!("the query option '{option}' here")),
        }
    }

    /// Refuses every option, as Graph does for some resources.
    pub(super) fn allow_none(&self) -> Result<(), ErrorResponse> {
        match self.0.first() {
            None => Ok(()),
            Some((option, _)) => Err(ErrorResponse::bad_request(format!(
                "The query option '{option}' is not supported for this resource."
            ))),
        }
    }

    /// The properties in `$select`, checked against the types that may be returned.
    pub(super) fn select(&self, types: &[&Schema]) -> Result<Option<Vec<String>>, ErrorResponse> {
        let Some(text) = self.get("$select") else { return Ok(None) };
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(ErrorResponse::bad_request(
                "Parsing OData Select and Expand failed: an empty term in $select.",
            ));
        }
        check_select(Some(&names), types)?;
        Ok(Some(names))
    }

    pub(super) fn top(&self) -> Result<usize, ErrorResponse> {
        let Some(text) = self.get("$top") else { return Ok(TOP_DEFAULT) };
        match text.parse() {
            Ok(top @ 1..=TOP_MAX) => Ok(top),
            _ => {
                let message = format!(
                    "Invalid page size specified: '{text}'. Must be between 1 and {TOP_MAX} inclusive."
                );
                Err(ErrorResponse::request_bad_request(message))
            }
        }
    }

    pub(super) fn count(&self) -> Result<bool, ErrorResponse> {
        match self.get("$count") {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(ErrorResponse::bad_request(format!("Invalid value '{other}' for $count."))),
        }
    }

    /// All options except `name`, encoded for a link.
    pub(super) fn encode_without(&self, name: &str) -> String {
        let others = self.0.iter().filter(|(option, _)| option != name);
        others.map(|(option, value)| format!("{option}={}", encode(value))).collect::<Vec<_>>().join("&")
    }
}

pub(super) fn decode(text: &str) -> Result<String, ErrorResponse> {
    let malformed =
        || ErrorResponse::bad_request("The URL is malformed: a percent sign that does not encode anything.");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = (digit().ok_or_else(malformed)?, digit().ok_or_else(malformed)?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

/// In a query, a plus sign is a space. An offset like `+02:00` must therefore be encoded.
fn decode_query(text: &str) -> Result<String, ErrorResponse> {
    decode(&text.replace('+', " "))
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~,$':".contains(&byte);
    let encoded = text
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    encoded.collect()
}
