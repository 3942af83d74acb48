//! Where a container's log is and how it is written: from its log configuration, by the shim crate's rules.

use boxship_shim::log::{self, Driver, Target};

use super::configuration::Configuration;
use crate::{Engine, Error, Result};

/// The target of a container's log.
pub(super) fn of(engine: &Engine, configuration: &Configuration) -> Result<Target> {
    let asked = &configuration.host_config.log_config;
    let options = log::parse_options(&asked.driver, asked.config.iter().flatten())
        .map_err(|error| Error::invalid(error.to_string()))?;
    let folder = engine.store().paths().container(&configuration.id);
    let path = match options.driver {
        Driver::None => std::path::PathBuf::new(),
        driver => folder.join(driver.file_name(&configuration.id)),
    };
    if let Some(parent) = path.parent().filter(|parent| *parent != folder && !path.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let labels: Vec<_> = configuration.config.labels.iter().flatten().collect();
    let labels: Vec<_> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let env: Vec<_> = configuration.config.env.iter().flatten().map(String::as_str).collect();
    let info = log::Info {
        id: &configuration.id,
        name: &configuration.name,
        image_id: &configuration.image,
        image_name: &configuration.config.image,
        labels: &labels,
        env: &env,
    };
    options.target(path, &info).map_err(|error| Error::invalid(error.to_string()))
}

/// The log file that inspect names: only json-file's can be read by others.
pub(super) fn path(engine: &Engine, configuration: &Configuration) -> String {
    if configuration.host_config.log_config.driver != Driver::JsonFile.as_str() {
        return String::new();
    }
    let folder = engine.store().paths().container(&configuration.id);
    folder.join(Driver::JsonFile.file_name(&configuration.id)).display().to_string()
}
