//! Detects Azure, where the sandbox refuses to run.

use firstpass::environment::Environment;

/// What App Service, Functions on Flex Consumption, and Container Apps set, in which Functions run too
/// (<https://learn.microsoft.com/azure/container-apps/environment-variables>).
const SIGNS: [&str; 5] = [
    "WEBSITE_INSTANCE_ID",
    "WEBSITE_POD_NAME",
    "LEGION_SERVICE_HOST",
    "CONTAINER_APP_NAME",
    "CONTAINER_APP_REVISION",
];

/// The environment variable that shows that this process runs in Azure.
///
/// `CONTAINER_NAME` alone marks Linux Consumption, but other containers set it too: it counts only together with
/// `WEBSITE_SITE_NAME`, which App Service sets for every app.
pub(crate) fn azure_variable(env: &Environment) -> Option<&'static str> {
    let is_set = |name: &&str| env.get(name).is_some();
    let container = || Some("CONTAINER_NAME").filter(is_set).filter(|_| is_set(&"WEBSITE_SITE_NAME"));
    SIGNS.into_iter().find(is_set).or_else(container)
}
