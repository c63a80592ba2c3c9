//! The folder as build systems take it.

use super::*;

/// `CMake` builds and installs the library, and another project finds it there.
#[test]
fn cmake_installs_what_another_project_finds() -> Result<()> {
    if !there("the CMake package", &["cmake", "make", "gcc"], "cmake make gcc") {
        return Ok(());
    }
    let work = TempDir::new()?;
    let [build, prefix, user] = ["build", "prefix", "user"].map(|name| work.path().join(name));
    let cmake = |words: &[&str]| Command::new("cmake").args(words).read();
    let shown = |path: &Path| path.display().to_string();
    let (library, prefix_shown) = (shown(&folder()?), shown(&prefix));
    cmake(&["-S", &library, "-B", &shown(&build), "-DQDLLM_MAX_CLASSES=8"])?;
    cmake(&["--build", &shown(&build)])?;
    cmake(&["--install", &shown(&build), "--prefix", &prefix_shown])?;
    fs::create_dir(&user)?;
    fs::write(
        user.join("CMakeLists.txt"),
        "cmake_minimum_required(VERSION 3.16)\nproject(user C)\nfind_package(qdllm 0.1 REQUIRED)\n\
         add_executable(user main.c)\ntarget_link_libraries(user qdllm::qdllm)\n",
    )?;
    // The settings of the build come with the package: the header's limits hold.
    fs::write(
        user.join("main.c"),
        "#include <qdllm.h>\nint main(void) { qdllm_model m; return QDLLM_MAX_CLASSES == 8 \
         && qdllm_open(&m, (const uint8_t *)\"QDMF\", 4) == QDLLM_TOO_SHORT ? 0 : 1; }\n",
    )?;
    let out = user.join("build");
    cmake(&[
        "-S",
        &shown(&user),
        "-B",
        &shown(&out),
        &format!("-DCMAKE_PREFIX_PATH={prefix_shown}"),
    ])?;
    cmake(&["--build", &shown(&out)])?;
    Command::new(out.join("user")).read().map(drop)
}

/// The metadata of all package managers names one version, that of the workspace, and files that are there.
#[test]
fn every_package_names_the_same_version() -> Result<()> {
    let folder = folder()?;
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("library.properties", format!("version={version}\n")),
        ("library.json", format!("\"version\": \"{version}\"")),
        ("idf_component.yml", format!("version: \"{version}\"")),
        ("CMakeLists.txt", format!("VERSION {version}")),
    ] {
        let text = fs::read_to_string(folder.join(file))?;
        ensure!(text.contains(&line), "{file} does not say {line:?}");
    }
    let module = fs::read_to_string(folder.join("zephyr/module.yml"))?;
    ensure!(module.contains("cmake: zephyr") && folder.join("zephyr/CMakeLists.txt").is_file());
    Ok(())
}
