//! Whether this machine can run a scenario: probed, never guessed from versions.

use crate::host;
use crate::image::has_program;
use crate::network::Network;
use crate::scenario::Scenario;
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The reason why the scenario cannot run on this host, whatever its image; asked first, because images take time.
pub fn host_obstacle(scenario: &Scenario) -> Option<String> {
    let mut tools: Vec<&str> = scenario.needs.host.iter().map(String::as_str).collect();
    if scenario.container.is_some() {
        tools.push("runc");
    }
    let missing = tools.iter().find(|tool| host::find_program(tool).is_none());
    missing.map(|missing| format!("no `{missing}` on this host"))
}

/// The reason why the scenario cannot run here, if there is one. `image` is its image's folder.
pub fn obstacle(scenario: &Scenario, image: Option<&Path>) -> Result<Option<String>> {
    if let Some(root) = image
        && let Some(missing) = scenario.needs.image.iter().find(|tool| !has_program(root, tool))
    {
        return Ok(Some(format!("no `{missing}` on this host to put into the image")));
    }
    if scenario.peer.is_some()
        && let Some(reason) = network_obstacle()
    {
        return Ok(Some(reason.clone()));
    }
    let Some(script) = &scenario.needs.probe else { return Ok(None) };
    let mut command = Command::new("/bin/sh");
    command.arg("-eu").arg("-c").arg(script);
    if let Some(root) = image {
        command.env("IMAGE", root);
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(None);
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let reason = text.lines().next().unwrap_or("the scenario's probe failed");
    Ok(Some(reason.trim().to_owned()))
}

/// Network namespaces and veth pairs are tried once a run.
fn network_obstacle() -> Option<&'static String> {
    static RESULT: OnceLock<Option<String>> = OnceLock::new();
    RESULT
        .get_or_init(|| {
            let name = format!("t{}", std::process::id());
            Network::create(&name).err().map(|error| format!("no network for the peer: {error:#}"))
        })
        .as_ref()
}
