//! host.json and the function.json files, read strictly: what the host refuses, and what it silently ignores or reads
//! in another way than expected, is a problem. All problems are reported together.

use std::{collections::BTreeMap, io, path::Path};

use firstpass::environment::Environment;
use serde_json::{Map, Value};

use super::{
    function::{self, Function, Http, Queue, Trigger},
    host_json::{self, HostConfig},
    plan::Plan,
    reader::{ConfigError, ConfigReader},
};

/// The prefix of settings that override host.json; `__` separates the levels.
const OVERRIDE: &str = "AzureFunctionsJobHost__";
pub(super) const HOST_JSON: &str = "host.json";

/// The files of a function app, by path.
#[derive(Clone, Debug, Default)]
pub struct Files(pub BTreeMap<String, String>);

/// A function of the handler: what its function.json must declare.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    /// The function's name.
    pub function: &'static str,
    /// The name and the type of the trigger binding.
    pub trigger: (&'static str, &'static str),
    /// The names and types of the output bindings.
    pub outputs: &'static [(&'static str, &'static str)],
}

/// The functions of firstpass's handler.
pub const CONTRACTS: &[Contract] = &[
    Contract { function: "SweepJoiners", trigger: ("timer", "timerTrigger"), outputs: &[("jobs", "queue")] },
    Contract { function: "OnGroupAdd", trigger: ("msg", "queueTrigger"), outputs: &[("jobs", "queue")] },
    Contract { function: "CreateTap", trigger: ("req", "httpTrigger"), outputs: &[("res", "http")] },
];

/// A function app without configuration problems.
#[derive(Clone, Debug)]
pub struct FunctionApp {
    /// host.json.
    pub host: HostConfig,
    /// The functions, by name.
    pub functions: BTreeMap<String, Function>,
    /// The app settings.
    pub settings: Environment,
}

impl Files {
    /// Reads host.json and every function.json in a folder.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        let mut take = |name: String, path: &Path| -> io::Result<()> {
            if path.is_file() {
                files.insert(name, std::fs::read_to_string(path)?);
            }
            Ok(())
        };
        take(HOST_JSON.to_owned(), &folder.join(HOST_JSON))?;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{}/function.json", entry.file_name().to_string_lossy());
            take(name, &entry.path().join("function.json"))?;
        }
        Ok(Self(files))
    }

    /// The files of this build.
    pub fn embedded() -> Self {
        let files = [
            (HOST_JSON, include_str!("../../../host.json")),
            ("CreateTap/function.json", include_str!("../../../CreateTap/function.json")),
            ("OnGroupAdd/function.json", include_str!("../../../OnGroupAdd/function.json")),
            ("SweepJoiners/function.json", include_str!("../../../SweepJoiners/function.json")),
        ];
        Self(files.map(|(path, text)| (path.to_owned(), text.to_owned())).into())
    }
}

impl FunctionApp {
    /// Reads the files together with the app settings, and compares them with the handler's `contracts`.
    ///
    /// # Errors
    /// All problems, each with its file and JSON pointer.
    pub fn load(
        files: &Files,
        settings: &Environment,
        plan: Plan,
        contracts: &[Contract],
    ) -> Result<Self, ConfigError> {
        let mut reader = ConfigReader::default();
        let mut parsed = BTreeMap::new();
        for (path, text) in &files.0 {
            match serde_json::from_str::<Value>(text) {
                Ok(value) => drop(parsed.insert(path.as_str(), value)),
                Err(error) => reader.problem(path, "", format!("is not JSON: {error}")),
            }
        }
        if let Some(host_json) = parsed.get_mut(HOST_JSON) {
            override_with(host_json, settings, &mut reader);
        } else if !files.0.contains_key(HOST_JSON) {
            reader.problem(HOST_JSON, "", "is missing");
        }
        let host = parsed
            .get(HOST_JSON)
            .and_then(|value| host_json::read(&reader.root(HOST_JSON, value), settings, plan));
        let mut functions = BTreeMap::new();
        for (path, value) in &parsed {
            let Some(name) = path.strip_suffix("/function.json") else { continue };
            if let Some(function) = function::read(name, reader.root(path, value), settings, plan) {
                functions.insert(name.to_owned(), function);
            }
        }
        check_routes(&functions, &reader);
        check_contracts(&parsed, contracts, &reader);
        let problems = reader.finish();
        match host {
            Some(host) if problems.is_empty() => Ok(Self { host, functions, settings: settings.clone() }),
            _ => Err(ConfigError(problems)),
        }
    }

    /// The function app of this build.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn embedded(settings: &Environment) -> Result<Self, ConfigError> {
        Self::load(&Files::embedded(), settings, Plan::Flex, CONTRACTS)
    }

    /// The queue that triggers a function.
    pub fn queue_of(&self, function: &str) -> Option<&str> {
        match &self.functions.get(function)?.trigger {
            Trigger::Queue(Queue { queue }) => Some(queue),
            _ => None,
        }
    }
}

/// Applies overriding settings to host.json. As in the host, names are case-insensitive.
fn override_with(host_json: &mut Value, settings: &Environment, reader: &mut ConfigReader) {
    for name in settings.names() {
        let Some((path, value)) = name.strip_prefix(OVERRIDE).zip(settings.get(name)) else { continue };
        let (mut pointer, mut target) = (String::new(), &mut *host_json);
        for part in path.split("__") {
            let (part, next) = step(target, part);
            pointer = format!("{pointer}/{part}");
            target = next;
        }
        // As in the host, numbers and booleans in the text become JSON numbers and booleans.
        *target = match serde_json::from_str(value) {
            Ok(scalar @ (Value::Number(_) | Value::Bool(_))) => scalar,
            _ => Value::from(value),
        };
        reader.overrides(HOST_JSON, &pointer, name);
    }
}

/// The child of `target` that `part` names, created if missing: an array item if `part` is an index, else a property.
fn step<'a>(target: &'a mut Value, part: &str) -> (String, &'a mut Value) {
    let index = part.parse::<usize>().ok().filter(|index| *index < 100 && target.is_array());
    if index.is_none() && !target.is_object() {
        *target = Value::Object(Map::new());
    }
    match (target, index) {
        (Value::Array(items), Some(index)) => {
            items.resize(items.len().max(index + 1), Value::Null);
            (part.to_owned(), &mut items[index])
        }
        (target, _) => {
            let mut names = target.as_object().into_iter().flat_map(Map::keys);
            let known = names.find(|known| known.eq_ignore_ascii_case(part)).cloned();
            let part = known.unwrap_or_else(|| part.to_owned());
            let next = &mut target[&part];
            (part, next)
        }
    }
}

fn check_routes(functions: &BTreeMap<String, Function>, reader: &ConfigReader) {
    let mut routes: BTreeMap<String, &str> = BTreeMap::new();
    for (name, function) in functions {
        let Trigger::Http(Http { route, .. }) = &function.trigger else { continue };
        if let Some(other) = routes.insert(route.to_ascii_lowercase(), name) {
            let what = format!("{other} has the route {route:?} too");
            reader.problem(&format!("{name}/function.json"), "/bindings", what);
        }
    }
}

/// The handler finds its trigger and its outputs by name. The host drops an output without a binding, and with it the
/// message.
fn check_contracts(parsed: &BTreeMap<&str, Value>, contracts: &[Contract], reader: &ConfigReader) {
    for contract in contracts {
        let path = format!("{}/function.json", contract.function);
        let Some(file) = parsed.get(path.as_str()) else {
            reader.problem(&path, "", "is missing, or unreadable: the handler has this function");
            continue;
        };
        let bindings: Vec<&Value> = file["bindings"].as_array().into_iter().flatten().collect();
        let expected: Vec<_> = std::iter::once(&contract.trigger).chain(contract.outputs).collect();
        for (name, kind) in &expected {
            match bindings.iter().position(|binding| binding["type"] == *kind) {
                None => {
                    reader.problem(&path, "/bindings", format!("lacks the {kind} {name:?} of the handler"))
                }
                Some(i) if bindings[i]["name"] != *name => reader.problem(
                    &path,
                    &format!("/bindings/{i}/name"),
                    format!("is not {name:?}, the handler's name for it: {}", bindings[i]["name"]),
                ),
                Some(_) => {}
            }
        }
        for (i, binding) in bindings.iter().enumerate() {
            if function::is_known(binding) && !expected.iter().any(|(_, kind)| binding["type"] == *kind) {
                let what = format!("the handler has no {} {}", binding["type"], binding["name"]);
                reader.problem(&path, &format!("/bindings/{i}"), what);
            }
        }
    }
    for path in parsed.keys().filter(|path| path.ends_with("/function.json")) {
        if !contracts.iter().any(|contract| path.strip_suffix("/function.json") == Some(contract.function)) {
            reader.problem(path, "", "the handler has no such function");
        }
    }
}
