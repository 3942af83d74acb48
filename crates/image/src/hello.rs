//! The `hello-world` image that is built into the executable: a docker-archive made in
//! memory, whose one layer holds one program of a few hundred bytes.
//!
//! With it a machine without any registry can prove that containers run. The program is
//! assembled here, byte by byte, so that the build needs no cross compiler and every
//! Boxship carries the same image: the same bytes give the same digest everywhere.

use boxship_oci::digest::Digest;
use serde_json::json;
use std::io;

/// What the program prints.
const GREETING: &str = "
Hello from Boxship!
This message shows that your installation appears to be working correctly.

What happened on the way to it:
 1. The client sent the request to the daemon, over the Engine API.
 2. The daemon made a container from the \"hello-world\" image: a root of its own,
    its own process ids, host name, users' rights and limits.
 3. A shim started the program in it, and its output came back to you.

Something more to try, once you have loaded an image:
 $ boxship run -it busybox sh

";

/// Where the program is loaded: the customary address of a static executable.
const BASE: u64 = 0x40_0000;
const ELF_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const CODE_AT: usize = ELF_HEADER + PROGRAM_HEADER;

/// The archive, as `boxship load` takes it: `hello-world:latest` for this machine's platform.
#[must_use]
pub fn archive() -> Vec<u8> {
    build().expect("writing to memory cannot fail")
}

fn build() -> io::Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, "hello", &program(), 0o755)?;
    let layer = layer.into_inner()?;
    let diff_id = Digest::of(&layer);
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": { "Cmd": ["/hello"], "WorkingDir": "/",
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [diff_id.to_string()] },
        "history": [
            { "created": "2026-01-01T00:00:00Z", "created_by": "COPY hello / # built into boxship" },
            { "created": "2026-01-01T00:00:00Z", "created_by": "CMD [\"/hello\"]", "empty_layer": true },
        ],
    })
    .to_string();
    let config_name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let layer_name = format!("{}/layer.tar", diff_id.hex());
    let manifest =
        json!([{ "Config": config_name, "RepoTags": ["hello-world:latest"], "Layers": [layer_name] }])
            .to_string();
    let mut outer = tar::Builder::new(Vec::new());
    append(&mut outer, &config_name, config.as_bytes(), 0o644)?;
    append(&mut outer, &layer_name, &layer, 0o644)?;
    append(&mut outer, "manifest.json", manifest.as_bytes(), 0o644)?;
    outer.into_inner()
}

fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    builder.append_data(&mut header, name, bytes)
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// A static ELF executable: write(1, greeting), exit(0). Layout: elf(5), one PT_LOAD.
fn program() -> Vec<u8> {
    let (machine, code): (u16, fn(u64) -> Vec<u8>) =
        if cfg!(target_arch = "aarch64") { (183, code_aarch64) } else { (62, code_x86_64) };
    // The code's length doesn't depend on the address it is given.
    let text_at = CODE_AT + code(0).len();
    let code = code(BASE + text_at as u64);
    let size = (text_at + GREETING.len()) as u64;
    let mut elf = Vec::with_capacity(size as usize);
    elf.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    elf.extend(2u16.to_le_bytes()); // ET_EXEC
    elf.extend(machine.to_le_bytes());
    elf.extend(1u32.to_le_bytes());
    elf.extend((BASE + CODE_AT as u64).to_le_bytes()); // entry
    elf.extend((ELF_HEADER as u64).to_le_bytes()); // program headers
    elf.extend(0u64.to_le_bytes()); // no section headers
    elf.extend(0u32.to_le_bytes());
    for word in [ELF_HEADER as u16, PROGRAM_HEADER as u16, 1, 0, 0, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(1u32.to_le_bytes()); // PT_LOAD
    elf.extend(5u32.to_le_bytes()); // PF_R | PF_X
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf.extend(GREETING.as_bytes());
    elf
}

fn code_x86_64(text: u64) -> Vec<u8> {
    let mut code = vec![0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0]; // mov eax, 1 (write); mov edi, 1
    code.push(0xbe); // mov esi, text
    code.extend((text as u32).to_le_bytes());
    code.push(0xba); // mov edx, length
    code.extend((GREETING.len() as u32).to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]); // xor edi, edi; mov eax, 60 (exit); syscall
    code
}

fn code_aarch64(_text: u64) -> Vec<u8> {
    const WORDS: u32 = 8;
    let distance = (WORDS - 2) * 4; // from the adr instruction to the text behind the code
    let words: [u32; WORDS as usize] = [
        0xd280_0020,                                  // mov x0, 1
        0xd280_0808,                                  // mov x8, 64 (write)
        0x1000_0001 | ((distance >> 2) << 5),         // adr x1, text
        0xd280_0002 | ((GREETING.len() as u32) << 5), // mov x2, length
        0xd400_0001,                                  // svc 0
        0xd280_0000,                                  // mov x0, 0
        0xd280_0ba8,                                  // mov x8, 93 (exit)
        0xd400_0001,                                  // svc 0
    ];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_program_runs_and_prints_the_greeting() {
        let dir = std::env::temp_dir().join(format!("boxship-hello-{}", std::process::id()));
        std::fs::write(&dir, program()).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = std::process::Command::new(&dir).output();
        std::fs::remove_file(&dir).unwrap();
        let output = output.unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), GREETING);
    }

    #[test]
    fn the_archive_is_the_same_each_time() {
        assert_eq!(archive(), archive());
    }
}
