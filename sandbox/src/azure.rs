//! Detects Azure, where the sandbox refuses to run.

use firstpass::settings::Environment;

/// A variable that says that this is Azure, where a sandbox refuses to work.
///
/// Linux Consumption is known by its CONTAINER_NAME alone, but so are many containers that are not Azure's: it
/// counts beside the name that App Service gives every app.
pub(crate) fn azure_variable(env: &Environment) -> Option<&'static str> {
    let is_set = |name: &&str| env.get(name).is_some();
    let container = || Some("CONTAINER_NAME").filter(is_set).filter(|_| is_set(&"WEBSITE_SITE_NAME"));
    ["WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "LEGION_SERVICE_HOST"]
        .into_iter()
        .find(is_set)
        .or_else(container)
}
