//! `version`: of this program and of the daemon.

use boxship_api::system::VersionResponse;
use boxship_api::version::MAX;
use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::format::{self, Json, tabs};
use crate::invocation::Invocation;

/// `version`.
pub const VERSION: Command = Command {
    name: "version",
    usage: "[OPTIONS]",
    about: "Show the version information",
    operands: Operands::None,
    mixed: true,
    flags: &[Flag::value("format", "string", format::HELP_ONE).short('f')],
    shared: &[],
    aliases: &[],
    action: action!(version),
};

async fn version(invocation: &Invocation) -> Result<u8> {
    let given = invocation.parsed.text("format").unwrap_or_default();
    if !matches!(given, "" | "json") {
        format::check(given).map_err(|failure| Failure::Code(failure.message(), 64))?;
    }
    // The program's own version is told whether there is a daemon or not.
    let server: Result<VersionResponse> = match invocation.client().await {
        Ok(client) => client.get("/version", Query::new()).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let spoken = match (&server, invocation.client().await) {
        (Ok(_), Ok(client)) => client.version().to_string(),
        _ => MAX.to_string(),
    };
    let text = match given {
        "" => whole(&spoken, server.as_ref().ok()),
        given => {
            let server = server.as_ref().map_or(Json::Null, |server| {
                let mut json = Json::of(server);
                // Templates name fields as Go does.
                json.fill("", "APIVersion", server.api_version.as_str().into());
                json.fill("", "GoVersion", server.go_version.as_str().into());
                json.fill("", "BuildTime", server.build_time.as_str().into());
                json
            });
            let data = Json::Object(vec![("Client".into(), client_json(&spoken)), ("Server".into(), server)]);
            format!("{}\n", format::value(given, "version", kind(given), &data)?)
        }
    };
    invocation.print(text)?;
    server.map(|_| 0)
}

/// What Go calls the type in which a template looks for a field that isn't there.
fn kind(template: &str) -> &'static str {
    match () {
        () if template.contains(".Server.") => "*types.Version",
        () if template.contains(".Client.") => "system.clientVersion",
        () => "system.versionInfo",
    }
}

fn client_json(spoken: &str) -> Json {
    let fields = [
        ("Version", env!("CARGO_PKG_VERSION").to_string()),
        ("ApiVersion", spoken.to_string()),
        ("DefaultAPIVersion", MAX.to_string()),
        ("Os", "linux".into()),
        ("Arch", boxship_oci::platform::Platform::host().architecture),
        ("Context", "default".into()),
    ];
    let mut json = Json::Object(fields.map(|(name, value)| (name.to_string(), Json::Text(value))).to_vec());
    // Templates name fields as Go does.
    json.fill("", "APIVersion", spoken.into());
    json
}

fn whole(spoken: &str, server: Option<&VersionResponse>) -> String {
    let downgraded =
        if spoken == MAX.to_string() { String::new() } else { format!(" (downgraded from {MAX})") };
    let arch = boxship_oci::platform::Platform::host().architecture;
    let mut text = format!(
        "Client: Boxship\n Version:\t{}\n API version:\t{spoken}{downgraded}\n OS/Arch:\tlinux/{arch}\n Context:\tdefault\n",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(server) = server {
        let name = if server.platform.name.is_empty() {
            String::new()
        } else {
            format!(" {}", server.platform.name)
        };
        text.push_str(&format!("\nServer:{name}\n"));
        let engine = [
            ("Version", server.version.clone()),
            ("API version", format!("{} (minimum version {})", server.api_version, server.min_api_version)),
            ("Go version", server.go_version.clone()),
            ("Git commit", server.git_commit.clone()),
            ("Built", server.build_time.clone()),
            ("OS/Arch", format!("{}/{}", server.os, server.arch)),
            ("Experimental", server.experimental.to_string()),
        ];
        text.push_str(" Engine:\n");
        for (name, value) in engine.iter().filter(|(_, value)| !value.is_empty()) {
            text.push_str(&format!("  {name}:\t{value}\n"));
        }
        for component in server.components.iter().filter(|component| component.name != "Engine") {
            text.push_str(&format!(" {}:\n  Version:\t{}\n", component.name, component.version));
            for (key, value) in &component.details {
                text.push_str(&format!("  {key}:\t{value}\n"));
            }
        }
    }
    tabs::align(&text, 20, 1)
}
