#!/bin/sh
# Debian's part of `cargo xtask setup`, which calls this in firmware/, so that `rustc` is the firmware's.
#
#   qemu                installs QEMU for Arm boards through apt
#   library TARGET...   builds targets from the library source of exactly this compiler
#   toolchain           makes Debian's compiler a second toolchain, for this folder alone
#   remove TARGET...    takes out what `library` and `toolchain` made
#
# apt reads package lists of our own: the system's sources stay as they are, and other suites than the
# installed one can be read from the same mirrors. Progress goes to the error stream; why something
# failed goes to the output, with exit code 1.
set -u

cache=${QDLLM_SETUP:?the work folder}
name=qdllm-firmware
# Written beside libraries that were built here, so that only those are ever removed.
mark=built-by-qdllm-setup

say() { echo "setup: $*" >&2; }
has() { command -v "$1" >/dev/null; }
fail() {
	printf '%s\n' "$*"
	exit 1
}
try() { "$@" || fail "$error"; }

# Runs a command silently; `error` becomes how it failed, with the last lines of what it said.
quiet() {
	said=$("$@" 2>&1) && return
	error="\`$*\` failed: exit status: $?
$(printf '%s\n' "$said" | tail -n 12 | sed 's/^/  /')"
	return 1
}

# retry TIMES COMMAND...: with growing pauses, because package servers are slow now and then.
retry() {
	left=$1 pause=5
	shift
	until quiet "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		say "$error; trying again in $pause s"
		sleep $pause
		pause=$((pause * 2))
	done
}

# Makes an empty folder of the work folder.
fresh() {
	work=$cache/$1
	rm -rf "$work"
	mkdir -p "$work" || fail "cannot make $work"
}

# A field of `rustc -vV`, such as `release` or `host`.
field() { rustc -vV | sed -n "s/^$1: //p"; }

# Sets `code`, Debian's name for the suite of this machine, such as `bookworm`.
codename() {
	code=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
	if [ "$(. /etc/os-release 2>/dev/null && echo "${ID:-}")" != debian ] || ! has apt-get; then
		error="this is not Debian; only Debian's archive carries Rust's library source"
		return 1
	fi
	error="/etc/os-release names no VERSION_CODENAME"
	[ -n "$code" ]
}

# archive SUITE...: reads the package lists of these suites; `conf` makes apt use them. A suite's mirror
# is that of this system's own apt: security suites have a place of their own, all others share one.
archive() {
	dir=$cache/apt-$1 conf=$cache/apt-$1/apt.conf
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/none" || return 1
	: >"$dir/sources.list"
	for suite; do
		case $suite in *-security) installed=$code-security ;; *) installed=$code ;; esac
		uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
			sed -n "s|^$installed ||p" | head -n 1)
		error="apt has no source for $installed"
		[ -n "$uri" ] || return 1
		key=/usr/share/keyrings/debian-archive-keyring.gpg
		echo "deb [signed-by=$key] $uri $suite main" >>"$dir/sources.list"
	done
	# The unprivileged apt user cannot read a folder below /root.
	cat >"$conf" <<-END
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "$dir/none";
		Dir::State::lists "$dir/lists";
		Dir::Cache "$dir/cache";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::http::Timeout "60";
	END
	say "reading Debian's package lists: $(echo "$*" | sed 's/ /, /g')"
	retry 3 apt-get -c "$conf" -q update
}

versions() { apt-cache -c "$conf" madison "$1" 2>/dev/null | awk -F' *[|] *' '!seen[$2]++ { print $2 }'; }

# download PACKAGE VERSION FOLDER: leaves the file's name in `file`.
download() {
	retry 3 env -C "$3" apt-get -c "$conf" -q download "$1=$2" || return 1
	file=$(find "$3" -name "$1_*.deb" | head -n 1)
	error="apt-get download $1=$2 left no file"
	[ -n "$file" ]
}

# Finds the package with the library source of Rust $release, in the cheapest package lists first.
find_source() {
	for suites in "bookworm-security trixie-backports" "trixie-security forky sid" experimental; do
		# The suites are words.
		if ! archive $suites; then
			say "$error"
			continue
		fi
		for package in rust-src rust-web-src; do
			for version in $(versions $package); do
				case $version in "$release"[+~-]*) return ;; esac
			done
		done
	done
	error="no Debian package has the library source of Rust $release"
	return 1
}

# Builds core, alloc and compiler_builtins and puts them where the precompiled ones would lie; stable
# Cargo then takes them as installed.
library() {
	own=$cache/second/usr
	if [ "$(rustc --print sysroot)" = "$own" ]; then
		tree=$(find "$own/src" -mindepth 2 -maxdepth 2 -type d -name library | head -n 1)
		[ -n "$tree" ] || fail "the source package has no library"
	else
		try codename
		release=$(field release)
		try find_source
		say "library source: $package $version"
		fresh source
		try download $package "$version" "$work"
		# Only the standard library is wanted: the package holds the compiler's source as well.
		tree=$work/library
		mkdir "$tree"
		try quiet sh -c "dpkg-deb --fsys-tarfile '$file' | tar -x -C '$tree' --strip-components=5 \
			--wildcards './usr/src/rustc-*/library'"
	fi
	compiler=$(rustc -V)
	say "building core and alloc with $compiler for $(echo "$*" | sed 's/ /, /g')"
	fresh build
	mkdir "$work/src"
	echo '#![no_std]' >"$work/src/lib.rs"
	printf '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' >"$work/Cargo.toml"
	# Paths in panic messages read as those of a released library, whoever built it.
	paths=--remap-path-prefix=$tree=/rustc/$(field commit-hash)/library
	try quiet env -u CARGO_ENCODED_RUSTFLAGS -u RUSTC_WRAPPER CARGO_TARGET_DIR="$work/target" \
		RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT="$tree" RUSTFLAGS="-Cembed-bitcode=yes $paths" \
		cargo build --release --quiet -Z build-std=core,alloc --manifest-path "$work/Cargo.toml" \
		$(printf -- '--target %s ' "$@")
	for target; do
		install_target "$target" "$work/target/$target/release/deps"
	done
	rm -rf "$work" "$cache/source"
}

# Copies into a folder beside the final one and renames, so that no half target is ever seen.
install_target() {
	dir=$(rustc --print target-libdir --target "$1") || fail "$1 is no target of this compiler"
	part=${dir%/*}/lib.part
	rm -rf "$part"
	mkdir -p "$part" || fail "cannot write $part"
	for crate in core alloc compiler_builtins; do
		try quiet cp "$2/lib$crate"-*.rlib "$part"
	done
	echo "$compiler" >"$part/$mark"
	rm -rf "$dir"
	try quiet mv "$part" "$dir"
	say "installed $1 in $dir"
}

linked() { rustup toolchain list | grep -q "^$name\( \|$\)"; }

# The last resort: Debian's compiler with its own library source, linked and set for this folder.
toolchain() {
	try codename
	has rustup || fail "a second toolchain needs rustup, which is not on PATH"
	if ! linked; then
		host=$(field host) real=$(rustc --print sysroot)
		download_compiler
		assemble
		try quiet rustup toolchain link $name "$usr"
	fi
	try quiet rustup override set $name --path "$PWD"
	say "firmware/ now uses toolchain $name"
}

# Unpacks the compiler, its library, its library's source and its LLVM into `usr`.
download_compiler() {
	try archive "$code" "$code-security"
	version=$(versions rustc-web | head -n 1)
	[ -n "$version" ] || fail "Debian $code has no rustc-web"
	say "unpacking Debian's rustc-web $version"
	release=${version%%[+~-]*}
	shared=libstd-rust-web-${release%.*}
	llvm=$(apt-cache -c "$conf" show "$shared=$version" | grep -o 'libllvm[0-9]*' | head -n 1)
	fresh second
	usr=$work/usr
	fresh parcels
	for package in "$shared" rustc-web libstd-rust-web-dev rust-web-src $llvm; do
		wanted=$version
		[ "$package" != "$llvm" ] || wanted=$(versions "$llvm" | head -n 1)
		try download "$package" "$wanted" "$work"
		try quiet dpkg-deb -x "$file" "${usr%/usr}"
	done
	rm -rf "$work"
}

# Turns the unpacked tree into a toolchain: the compiler finds its own libraries, and Cargo and the
# linker come from the installed toolchain.
assemble() {
	multiarch=$(echo "$host" | sed 's/-unknown//')
	bin=lib/rustlib/$host/bin
	mkdir -p "$usr/libexec" "$usr/$bin"
	try quiet mv "$usr/bin/rustc" "$usr/libexec/rustc"
	cat >"$usr/bin/rustc" <<-END
		#!/bin/sh
		LD_LIBRARY_PATH='$usr/lib/$multiarch'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec '$usr/libexec/rustc' --sysroot '$usr' "\$@"
	END
	chmod 755 "$usr/bin/rustc"
	try quiet ln -s "$real/bin/cargo" "$usr/bin/cargo"
	try quiet ln -s "$real/$bin/rust-lld" "$usr/$bin/rust-lld"
}

remove() {
	if has rustup && linked; then
		try quiet rustup override unset --path "$PWD"
		try quiet rustup toolchain uninstall $name
		say "removed toolchain $name"
	fi
	for target; do
		dir=$(rustc --print target-libdir --target "$target") || fail "$target is no target of this compiler"
		if [ -f "$dir/$mark" ]; then
			rm -rf "${dir%/*}"
			say "removed $target"
		fi
	done
	find "$cache" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
	say "QEMU is a system package and stays"
}

# The command that installs QEMU on this kind of system.
remedy() {
	for line in "apt-get install qemu-system-arm" "dnf install qemu-system-arm" "pacman -S qemu-system-arm" \
		"zypper install qemu-arm" "apk add qemu-system-arm" "brew install qemu"; do
		if has "${line%% *}"; then
			echo "$line"
			return
		fi
	done
	echo "your system's package of QEMU for Arm"
}

qemu() {
	program=qemu-system-arm
	has apt-get || fail "$program is missing; run: $(remedy)"
	say "installing $program"
	# sudo drops the environment, so what apt must know is said on the command line.
	as_root="env DEBIAN_FRONTEND=noninteractive"
	if [ "$(id -u)" != 0 ]; then
		has sudo && sudo -n true 2>/dev/null ||
			fail "this needs root, and sudo would ask for a password; run: $(remedy)"
		as_root="sudo -n $as_root"
	fi
	# A source of the person's own that does not answer must not keep Debian's from being used.
	retry 2 $as_root apt-get -q -o Acquire::Retries=3 update ||
		say "$error; going on with the package lists there are"
	# Asks nothing, and waits for another package manager that is at work.
	install="-q -y --no-install-recommends -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install"
	plan=$(apt-get -s --no-install-recommends install $program 2>/dev/null) || plan=Remv
	if echo "$plan" | grep -q ^Remv && codename; then
		# A newer qemu-utils from the backports suite would have to go for the stable emulator, or keeps
		# it out, so the emulator comes from the same suite.
		try archive "$code" "$code-security" "$code-updates" "$code-backports"
		try retry 3 $as_root apt-get -c "$conf" $install -t "$code-backports" $program
	else
		try retry 3 $as_root apt-get $install $program
	fi
	version=$($program --version | head -n 1)
	[ -n "$version" ] || fail "QEMU names no version"
	say "installed $version"
}

"$@"
