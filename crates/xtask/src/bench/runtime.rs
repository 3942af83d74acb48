//! The runtime alone: `run` of a bundle whose program is `true`.

use std::path::Path;
use std::process::Command;

use boxship_testkit::{images, require_program};

/// Measures create, start, wait and delete in one `run`.
pub fn measure(exe: &Path, rounds: usize) -> Result<(), String> {
    let bundle = tempfile::tempdir().map_err(|e| format!("make a bundle: {e}"))?;
    let root = bundle.path().join("rootfs");
    std::fs::create_dir(&root).map_err(|e| format!("make a bundle: {e}"))?;
    images::busybox_root(&root);
    super::must(Command::new(require_program("runc", "runc")).arg("spec").arg("-b").arg(bundle.path()));
    edit(&bundle.path().join("config.json"))?;
    let runtimes = [
        ("boxship runtime", exe.to_path_buf(), vec!["runtime"]),
        ("runc", require_program("runc", "runc"), vec![]),
        ("crun", require_program("crun", "crun"), vec!["--cgroup-manager=disabled"]),
    ];
    let mut number = 0;
    super::compare(
        "runtime alone: run true",
        rounds,
        runtimes.iter().map(|(name, program, globals)| {
            number += 1;
            let id = format!("bench-{}-{number}", std::process::id());
            let bundle = bundle.path();
            super::Contender {
                name: name.to_string(),
                action: Box::new(move || {
                    let mut command = Command::new(program);
                    command
                        .args(globals)
                        .arg("--root")
                        .arg(bundle.join(name))
                        .arg("run")
                        .arg("-b")
                        .arg(bundle)
                        .arg(&id);
                    super::attempt(&mut command)
                }),
            }
        }),
    );
    Ok(())
}

fn edit(config: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(config).map_err(|e| format!("read the bundle: {e}"))?;
    let mut spec: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("read the bundle: {e}"))?;
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = serde_json::json!(["true"]);
    std::fs::write(config, spec.to_string()).map_err(|e| format!("write the bundle: {e}"))
}
