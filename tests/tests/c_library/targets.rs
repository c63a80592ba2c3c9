//! The library on emulated chips: the same answers, and what it takes of flash, RAM and time.

use super::*;
use xtask::repo::flash_bytes;

/// The sentence that figures are given for: 12 words.
const TWELVE: &str = "please turn on the lamp in the hallway and the kitchen now";
const HEADER: &str = "-DMODEL_HEADER=\"../examples/Commands/model.h\"";
/// What one board's memory suffices for.
const SMALL: [&str; 2] = ["-DQDLLM_MAX_CLASSES=8", "-DQDLLM_MAX_RANK=11"];

/// The number after a word of what a program said.
fn figure(said: &str, name: &str) -> Result<u64> {
    let mut words = said.split_whitespace().skip_while(|word| *word != name).skip(1);
    let number = words.next().with_context(|| format!("no {name} in {said:?}"))?;
    Ok(number.parse()?)
}

/// Answers of a Cortex-M under QEMU, its ticks for the longest text, its stack and its statics.
fn cortex_m(
    cpu: &str,
    machine: &str,
    texts: &[Vec<u8>],
    work: &TempDir,
) -> Result<(Vec<u8>, [u64; 3])> {
    let image = work.path().join("image.elf");
    let core = format!("-mcpu={cpu}");
    let options = [
        &SMALL[..],
        &[HEADER, "-Os", &core, "-mthumb", "-ffreestanding", "-nostartfiles", "-nostdlib"],
        &["-Ttests/cortex_m.ld", "-lc", "-lgcc"],
    ];
    compile("arm-none-eabi-gcc", &options.concat(), "tests/cortex_m.c", &image)?;
    fs::write(work.path().join("texts"), packed(texts))?;
    let mut qemu = Command::new("qemu-system-arm");
    qemu.current_dir(work.path()).args(["-M", machine, "-nographic", "-serial", "none"]);
    qemu.args(["-monitor", "none", "-semihosting", "-icount", "shift=0", "-kernel"]).arg(&image);
    let output = qemu.output()?;
    // Semihosting says to the error stream.
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{machine}: {}, {said}", output.status);
    let figures = [figure(&said, "ticks")?, figure(&said, "stack")?, figure(&said, "statics")?];
    Ok((fs::read(work.path().join("answers"))?, figures))
}

#[test]
fn cortex_m_answers_are_the_runtimes() -> Result<()> {
    let packages = "gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm";
    if !there("C on Cortex-M", &["arm-none-eabi-gcc", "qemu-system-arm"], packages) {
        return Ok(());
    }
    let model = example()?;
    let mut all = texts(number("QDLLM_TEXTS", 2000).min(10_000), number("QDLLM_SEED", 1))?;
    all.retain(|text| text.len() <= 1024);
    // Ticks of 16 and of 25 MHz, at an instruction a nanosecond.
    for (cpu, machine, instructions) in
        [("cortex-m0", "microbit", 62.5), ("cortex-m4", "mps2-an386", 40.0)]
    {
        let work = TempDir::new()?;
        let (answers, _) = cortex_m(cpu, machine, &all, &work)?;
        let compared = compare(machine, &model, &all, &answers)?;
        let (answers, [ticks, stack, statics]) = cortex_m(cpu, machine, &[TWELVE.into()], &work)?;
        compare(machine, &model, &[TWELVE.into()], &answers)?;
        let took = ticks as f64 * instructions;
        println!(
            "C on {cpu}: {} texts, {compared} probabilities, 0 differ; 12 words: about {took:.0} instructions, \
             {stack} bytes of stack, {statics} of statics",
            all.len()
        );
        ensure!(stack + statics <= 600, "{cpu}: {stack} + {statics} bytes of RAM");
    }
    Ok(())
}

/// Flash of the library alone, with what it needs of the compiler's: linked into nothing.
#[test]
fn flash_of_the_library_is_what_the_readme_says() -> Result<()> {
    if !there(
        "sizes on Cortex-M0+",
        &["arm-none-eabi-gcc"],
        "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ) {
        return Ok(());
    }
    let work = TempDir::new()?;
    let image = work.path().join("size.elf");
    let readme = fs::read_to_string(folder()?.join("README.md"))?;
    let core = [
        "-Os",
        "-mcpu=cortex-m0plus",
        "-mthumb",
        "-ffreestanding",
        "-nostdlib",
        "-Wl,-e,qdllm_open",
    ];
    let kept =
        ["-Wl,--gc-sections", "-ffunction-sections", "-Wl,-u,qdllm_classify", "-lc", "-lgcc"];
    for (parts, most) in [
        (&["-DQDLLM_WORDS=0", "-DQDLLM_RUNS=0", "-DQDLLM_UNICODE=0"][..], 6144),
        (&["-DQDLLM_COMPACT=0", "-DQDLLM_RUNS=0", "-DQDLLM_UNICODE=0"], 6144),
        (&["-DQDLLM_WORDS=0", "-DQDLLM_RUNS=0"], 9000),
        (&[], 9000),
    ] {
        compile("arm-none-eabi-gcc", &[&core[..], parts, &kept].concat(), "tests/empty.c", &image)?;
        let bytes = flash_bytes(&image)?;
        println!("C on Cortex-M0+: {bytes} bytes of flash with {parts:?}");
        ensure!(bytes <= most, "{parts:?}: {bytes} bytes of flash");
        let row = format!("{bytes} bytes");
        ensure!(readme.contains(&row), "firmware/c/README.md does not say {row} of {parts:?}");
    }
    Ok(())
}

/// Builds the emulator's driver; `None`, said, where something is missing.
fn simavr(work: &TempDir) -> Result<Option<PathBuf>> {
    let packages = "gcc gcc-avr avr-libc libsimavr-dev libelf-dev";
    if !there("C on an ATmega328P", &["gcc", "avr-gcc"], packages) {
        return Ok(None);
    }
    if !Path::new("/usr/include/simavr").is_dir() {
        println!(
            "\nSKIPPED C on an ATmega328P: libsimavr-dev is missing; run: apt-get install {packages}"
        );
        return Ok(None);
    }
    let driver = work.path().join("simavr");
    let mut gcc = Command::new("gcc");
    gcc.current_dir(folder()?).args(["-O2", "-I/usr/include/simavr", "tests/simavr.c", "-o"]);
    gcc.arg(&driver).args(["-lsimavr", "-lelf"]).read()?;
    Ok(Some(driver))
}

/// Runs a program of the Uno until so many bytes are answered; also what the driver said.
fn uno(
    driver: &Path,
    image: &Path,
    texts: &[u8],
    baud: u32,
    wanted: usize,
) -> Result<(Vec<u8>, String)> {
    let folder = image.parent().context("a folder")?;
    let (input, answers) = (folder.join("texts"), folder.join("answers"));
    fs::write(&input, texts)?;
    let mut command = Command::new(driver);
    command.arg(image).arg(&input).arg(baud.to_string()).arg(&answers).arg(wanted.to_string());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "simavr: {}, {said}", output.status);
    Ok((fs::read(answers)?, said))
}

#[test]
fn uno_answers_are_the_runtimes() -> Result<()> {
    let work = TempDir::new()?;
    let Some(driver) = simavr(&work)? else { return Ok(()) };
    let (image, model) = (work.path().join("uno.elf"), example()?);
    compile("avr-gcc", &[HEADER, "-Os", "-mmcu=atmega328p"], "tests/uno.c", &image)?;
    let mut all = texts(number("QDLLM_TEXTS", 300).min(1500), number("QDLLM_SEED", 1))?;
    all.retain(|text| text.len() < 256);
    for texts in [all, vec![TWELVE.into()]] {
        let input: Vec<u8> =
            texts.iter().flat_map(|text| [&[text.len() as u8][..], text].concat()).collect();
        let wanted = 4 + texts.len() * 4 * (3 + 8);
        let (answers, said) = uno(&driver, &image, &input, 1_000_000, wanted)?;
        let compared = compare("uno", &model, &texts, &answers)?;
        let milliseconds = figure(&said, "cycles")? as f64 / 16_000.0;
        println!(
            "C on an ATmega328P: {} texts, {compared} probabilities, 0 differ; at most {milliseconds:.1} ms at 16 MHz, \
             {} bytes of stack",
            texts.len(),
            figure(&said, "stack")?
        );
        ensure!(texts.len() > 1 || milliseconds <= 100.0, "12 words take {milliseconds} ms");
    }
    Ok(())
}

/// The Arduino example as the Arduino IDE builds it, the core from Debian's package: sentences in, classes back.
#[test]
fn uno_runs_the_arduino_example() -> Result<()> {
    let core = Path::new("/usr/share/arduino/hardware/arduino/avr");
    let work = TempDir::new()?;
    let Some(driver) = simavr(&work)? else { return Ok(()) };
    if !core.is_dir()
        || !there("the Arduino example", &["avr-g++", "avr-size"], "arduino-core-avr binutils-avr")
    {
        println!("\nSKIPPED the Arduino example: run: apt-get install arduino-core-avr");
        return Ok(());
    }
    let (folder, image) = (folder()?, work.path().join("sketch.elf"));
    let sketch = fs::read_to_string(folder.join("examples/Commands/Commands.ino"))?;
    fs::write(work.path().join("sketch.cpp"), format!("#include <Arduino.h>\n{sketch}"))?;
    let sources = fs::read_dir(core.join("cores/arduino"))?.map(|entry| Ok(entry?.path()));
    let mut sources: Vec<PathBuf> = sources.collect::<Result<_>>()?;
    sources.retain(|file| file.extension().is_some_and(|end| end == "c" || end == "cpp"));
    sources.extend([work.path().join("sketch.cpp"), folder.join("src/qdllm.c")]);
    for (i, source) in sources.iter().enumerate() {
        let c = source.extension().is_some_and(|end| end == "c");
        let mut command = Command::new(if c { "avr-gcc" } else { "avr-g++" });
        command.args([
            "-c",
            "-w",
            "-Os",
            "-mmcu=atmega328p",
            "-ffunction-sections",
            "-fdata-sections",
        ]);
        command.args(["-flto", "-fno-fat-lto-objects", "-fno-exceptions"]);
        command.args([
            "-DF_CPU=16000000L",
            "-DARDUINO=10819",
            "-DARDUINO_AVR_UNO",
            "-DARDUINO_ARCH_AVR",
        ]);
        // Debian's compiler leaves that one out for C++, which the core's strings ask for.
        command.args(if c { &["-std=gnu11"][..] } else { &["-std=gnu++11", "-DDECIMAL_DIG=9"] });
        for include in ["cores/arduino", "variants/standard"] {
            command.arg("-I").arg(core.join(include));
        }
        command.arg("-I").arg(folder.join("src")).arg("-I").arg(folder.join("examples/Commands"));
        command.arg(source).arg("-o").arg(work.path().join(format!("{i}.o"))).read()?;
    }
    let mut link = Command::new("avr-gcc");
    link.args([
        "-w",
        "-Os",
        "-flto",
        "-fuse-linker-plugin",
        "-mmcu=atmega328p",
        "-Wl,--gc-sections",
        "-o",
    ]);
    link.arg(&image).args((0..sources.len()).map(|i| work.path().join(format!("{i}.o")))).read()?;
    let expected = "qdllm 0\r\nturn_on 100\r\ntimer 100\r\n";
    let input = format!("{TWELVE}\nset a timer for ten minutes\n");
    let (answers, said) = uno(&driver, &image, input.as_bytes(), 115_200, expected.len())?;
    let answers = String::from_utf8_lossy(&answers).into_owned();
    ensure!(answers == expected, "the sketch answered {answers:?}");
    let sizes = Command::new("avr-size").arg(&image).read()?;
    let sizes: Vec<u64> = sizes.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [text, data, bss, ..] = sizes[..] else { anyhow::bail!("avr-size said {sizes:?}") };
    let (flash, ram) = (text + data, data + bss + figure(&said, "stack")?);
    println!(
        "the Arduino example: {flash} bytes of flash with the model, {ram} of RAM with the stack"
    );
    ensure!(flash <= 32_256 && ram <= 2048, "{flash} bytes of flash, {ram} of RAM");
    Ok(())
}
