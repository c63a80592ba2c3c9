//! OpenQASM 2 and 3, construct by construct. What gates do is judged by matrices of the plain simulator.

use num_complex::Complex64;
use qdllm_runtime::circuit::gate::{GATES, GateKind};
use qdllm_runtime::circuit::qasm::{Circuit, Form, QasmError};
use qdllm_tests::plain::{Matrix, apply, matrix, simulate};
use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::time::{Duration, Instant};

const TWO: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[6];\ncreg c[6];\n";
const THREE: &str = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\nqubit[6] q;\nbit[6] c;\n";

fn read(text: &str) -> Circuit {
    Circuit::read(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn refused(text: &str) -> QasmError {
    Circuit::read(text).expect_err(text)
}

/// A state in which no two amplitudes are alike.
fn turned() -> Vec<Complex64> {
    let mut text = TWO.to_owned();
    for q in 0..6 {
        let t = f64::from(q) * 0.7 + 0.4;
        text += &format!("u({t},{},{}) q[{q}];", t * 1.3 - 2.0, 0.9 - t);
    }
    simulate(read(&text).gates.into_iter(), 6, &[], &[])
}

fn after(circuit: &Circuit) -> Vec<Complex64> {
    circuit.gates.iter().fold(turned(), |state, gate| {
        let angles = gate.angles.map(|angle| match angle {
            qdllm_runtime::circuit::gate::Angle::Const(x) => x,
            other => panic!("{other:?}"),
        });
        apply(&state, &matrix(gate.kind, angles), gate.on())
    })
}

fn overlap(a: &[Complex64], b: &[Complex64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x.conj() * y).sum::<Complex64>().norm()
}

fn controlled(of: &Matrix, controls: usize) -> Matrix {
    let ones = (1 << controls) - 1;
    let entry = |row: usize, column: usize| match (row & ones, column & ones) {
        (a, b) if a == ones && b == ones => of[row >> controls][column >> controls],
        _ => Complex64::from(f64::from(u8::from(row == column))),
    };
    let size = of.len() << controls;
    (0..size).map(|row| (0..size).map(|column| entry(row, column)).collect()).collect()
}

/// Panics unless a statement does what a matrix does, the same qubits in the same order.
fn check(statement: &str, of: &Matrix) {
    let on = [4, 0, 3, 1, 5, 2];
    let many = of.len().ilog2() as usize;
    let names: Vec<String> = on[..many].iter().map(|q| format!("q[{q}]")).collect();
    let found = after(&read(&format!("{THREE}{statement} {};", names.join(","))));
    let likeness = overlap(&found, &apply(&turned(), of, &on[..many]));
    assert!((likeness - 1.0).abs() < 1e-12, "{statement}: {likeness}");
}

fn times(phase: f64, of: &Matrix) -> Matrix {
    let scale = Complex64::from_polar(1.0, phase);
    of.iter().map(|row| row.iter().map(|x| x * scale).collect()).collect()
}

#[test]
fn gates_of_the_included_files_are_what_they_are_called() {
    use GateKind as K;
    let of = |kind, angles: [f64; 3]| matrix(kind, angles);
    let fixed = |kind| matrix(kind, [0.0; 3]);
    let u = of(K::U, [0.1, 0.2, 0.3]);
    let sx = times(PI / 4.0, &of(K::Rx, [PI / 2.0, 0.0, 0.0]));
    let sxdg = times(-PI / 4.0, &of(K::Rx, [-PI / 2.0, 0.0, 0.0]));
    for (name, controls, of) in [
        ("U(0.1,0.2,0.3)", 0, u.clone()),
        ("u3(0.1,0.2,0.3)", 0, u.clone()),
        ("u2(0.2,0.3)", 0, of(K::U, [PI / 2.0, 0.2, 0.3])),
        ("u1(0.4)", 0, of(K::P, [0.4, 0.0, 0.0])),
        ("phase(0.4)", 0, of(K::P, [0.4, 0.0, 0.0])),
        ("u0(0.4)", 0, of(K::P, [0.0; 3])),
        ("id", 0, of(K::P, [0.0; 3])),
        ("sx", 0, sx.clone()),
        ("sxdg", 0, sxdg.clone()),
        ("CX", 1, fixed(K::X)),
        ("cy", 1, fixed(K::Y)),
        ("ch", 1, fixed(K::H)),
        ("csx", 1, sx.clone()),
        ("ctrl @ sxdg", 1, sxdg),
        ("cs", 1, fixed(K::S)),
        ("cu1(0.4)", 1, of(K::P, [0.4, 0.0, 0.0])),
        ("cphase(0.4)", 1, of(K::P, [0.4, 0.0, 0.0])),
        ("cu3(0.1,0.2,0.3)", 1, u.clone()),
        ("cu(0.1,0.2,0.3,0.4)", 1, times(0.4, &u)),
        ("ccx", 2, fixed(K::X)),
        ("ccz", 2, fixed(K::Z)),
        ("cswap", 1, fixed(K::Swap)),
        ("c3x", 3, fixed(K::X)),
        ("c3sqrtx", 3, sx),
        ("c4x", 4, fixed(K::X)),
    ] {
        check(name, &controlled(&of, controls));
    }
    // Relative phases of a Toffoli: two of them in a row, one backwards, are nothing.
    for (one, many) in [("rccx", 3), ("rc3x", 4)] {
        let q = &["q[0]", "q[1]", "q[2]", "q[3]"][..many].join(",");
        let twice = read(&format!("{THREE}{one} {q}; inv @ {one} {q};"));
        assert!((overlap(&after(&twice), &turned()) - 1.0).abs() < 1e-12);
        let ones = format!("{TWO}x q;x q[{}];{one} {q};", many - 1);
        let state = simulate(read(&ones).gates.into_iter(), 6, &[], &[]);
        assert!((state[63].norm() - 1.0).abs() < 1e-12, "{one}");
    }
}

#[test]
fn modifiers_hold_for_every_gate_of_the_table() {
    for info in &GATES {
        let t = [0.3, 0.8, -0.5];
        let texts = t[..info.angles].iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let name =
            if info.angles == 0 { info.name.into() } else { format!("{}({texts})", info.name) };
        let of = matrix(info.kind, t);
        let dagger: Matrix =
            (0..of.len()).map(|i| (0..of.len()).map(|j| of[j][i].conj()).collect()).collect();
        check(&format!("ctrl @ {name}"), &controlled(&of, 1));
        check(&format!("ctrl @ ctrl @ inv @ {name}"), &controlled(&dagger, 2));
        check(&format!("inv @ ctrl(2) @ pow(-1) @ {name}"), &controlled(&of, 2));
        let twice: Matrix = (0..of.len())
            .map(|i| {
                (0..of.len()).map(|j| (0..of.len()).map(|k| of[i][k] * of[k][j]).sum()).collect()
            })
            .collect();
        check(&format!("ctrl @ pow(2) @ {name}"), &controlled(&twice, 1));
        check(&format!("ctrl @ pow(1/2) @ pow(4) @ {name}"), &controlled(&twice, 1));
    }
    let half = matrix(GateKind::T, [0.0; 3]);
    check("ctrl @ pow(0.5) @ s", &controlled(&half, 1));
    check("ctrl @ pow(1/4) @ z", &controlled(&half, 1));
    check("ctrl @ gphase(pi/4)", &half);
    check("gphase(pi/4); id", &matrix(GateKind::P, [0.0; 3]));
    // Where the control is 0.
    let x = matrix(GateKind::X, [0.0; 3]);
    let mut open = controlled(&x, 1);
    open.rotate_left(1);
    open.iter_mut().for_each(|row| row.rotate_left(1));
    let swapped = |m: &Matrix| -> Matrix {
        (0..4).map(|i: usize| (0..4).map(|j: usize| m[i ^ 1][j ^ 1]).collect()).collect()
    };
    check("negctrl @ x", &swapped(&controlled(&x, 1)));
    let root = Complex64::from(FRAC_1_SQRT_2);
    check("h", &vec![vec![root, root], vec![root, -root]]);
}

#[test]
fn texts_that_say_the_same_are_read_the_same() {
    let head = "OPENQASM 2.0;\nqreg q[6];\ncreg c[6];\n";
    for (body, same) in [
        ("include 'qelib1.inc';;\nh q[0];;", "h q[0];"),
        ("gate f a,b { h a; cx a,b; }\nf q[0],q[1];", "h q[0];cx q[0],q[1];"),
        ("gate f(s,t) a { rx(s-t/2) a; }\nf(2,1+1) q[3];", "rx(1) q[3];"),
        (
            "gate f(t) a { ry(t) a; }\ngate g(t) a,b { f(-t) b; f(t^2) a; }\ng(3) q[1],q[2];",
            "ry(-3) q[2];ry(9) q[1];",
        ),
        ("gate f a { }\nf q;", ""),
        ("gate f() a { x a; }\nf() q[0];", "x q[0];"),
        ("gate unused(t) a { rx(sin(t)^cos(t)*tan(1)/exp(ln(2))) a; }\nopaque o(t) a,b;", ""),
        // A definition goes before the library's gate of the name.
        ("gate h a { x a; }\nh q[0];", "x q[0];"),
        ("gate swap a,b { cx a,b; cx b,a; cx a,b; }\nswap q[0],q[1];", "swap q[0],q[1];"),
        ("rz(sqrt(9)-2^3^0) q[0];", "rz(1) q[0];"),
        (
            "qreg r[6];cx q,r;",
            "qreg r[6];cx q[0],r[0];cx q[1],r[1];cx q[2],r[2];cx q[3],r[3];cx q[4],r[4];cx q[5],r[5];",
        ),
        ("cx q[0],\n  // and\n q[1]\n;", "cx q[0],q[1];"),
        ("qreg r[2];CX q[5],r;", "qreg r[2];cx q[5],r[0];cx q[5],r[1];"),
    ] {
        assert_eq!(read(&format!("{head}{body}")), read(&format!("{head}{same}")), "{body}");
        let short = head.replace("2.0", "2");
        assert_eq!(read(&format!("\u{feff}{short}{body}")), read(&format!("{head}{same}")));
    }
    let head = "OPENQASM 3;\n";
    for (body, same) in [
        ("qubit[2] q; bit[2] c; c = measure q;", "qreg q[2]; creg c[2]; measure q -> c;"),
        (
            "qubit[2] q; bit[2] c; c[1] = measure q[0];",
            "qubit[2] q; bit[2] c; measure q[0] -> c[1];",
        ),
        ("qubit[2] q; bit[2] c = measure q;", "qubit[2] q; bit[2] c; c = measure q;"),
        ("qubit q; bit c; c = measure q;", "qubit[1] q; bit[1] c; c[0] = measure q[0];"),
        ("/* a\nb */ qubit q; rz(π/2+tau/4) q; rz(2**3) q;", "qubit q; rz(pi) q; rz(8) q;"),
        ("qubit q; gate f(θ) a { gphase(θ); U(θ, 0, 0) a; } f(.5) q;", "qubit q; u(.5,0,0) q;"),
        (
            "bit[2] c; cx $4, $1; c[0] = measure $1;",
            "qubit[5] q; bit[2] c; cx q[4],q[1]; c[0] = measure q[1];",
        ),
        ("qubit[3] q; barrier; x q[1];", "qubit[3] q; barrier q; x q[1];"),
        (
            "qubit[3] q; gate f a,b { inv @ s a; pow(2) @ t b; } inv @ f q[0],q[1];",
            "qubit[3] q; tdg q[1]; tdg q[1]; s q[0];",
        ),
        (
            "input float[64] b; input angle a; qubit q; rx(a-b) q;",
            "input float b; input float a; qubit q; rx(a-1*b) q;",
        ),
    ] {
        let (one, other) = (read(&format!("{head}{body}")), read(&format!("{head}{same}")));
        assert_eq!(one, other, "{body}");
    }
}

#[test]
fn what_cannot_be_run_is_refused_with_its_reason() {
    for (head, cases) in [
        (
            TWO,
            &[
                ("if(c==1) x q[0];", "`if` is decided while a program runs"),
                ("reset q[0];", "`reset` is not supported"),
                (
                    "measure q[0] -> c[0];x q[0];",
                    "after its measurement; measurements stand at the end",
                ),
                ("measure q[0] -> c[0];measure q[0] -> c[1];", "measured twice"),
                ("opaque o a;o q[0];", "`o` is opaque"),
                ("opaque o a;gate f a { o a; }\n", ""),
                ("h q[0]; /* no */", "OpenQASM 2 has no `/* ... */`"),
                ("gate f a { f a; }", "unknown gate `f`"),
                ("gate f a { x a; }gate f a { x a; }", "defined twice"),
                ("gate f a,b { cx a,a; }", "on one qubit twice"),
                ("gate f(t) a { rx(s) a; }", "`s` is no angle of this gate"),
                ("gate f a { x b; }", "`b` is no qubit of this gate"),
                ("gate f a { x a;", "expected at the end of the text"),
                ("gate f(t) a { rx(t) a; }f q[0];", "`f` takes 1 angles, 0 given"),
                ("ccx q[0],q[1],q[0];", "twice"),
                ("rx(sin(a)) q[0];", "affine"),
                ("rx(sin) q[0];", "`sin` is a function"),
                ("include 'my.inc';", "only \"qelib1.inc\""),
                ("include \"qelib1.inc;", "without its end"),
                ("h q[0]; €", "is no part of OpenQASM"),
                ("inv @ s q[0];", "unknown gate `inv`"),
                ("OPENQASM 2.0;", "stands once"),
                ("x q[0:1];", "`]` expected at `:`"),
            ][..],
        ),
        (
            THREE,
            &[
                ("for int i in [0:1] { x q[i]; }", "`for` is decided"),
                ("while (c[0]) { }", "`while` is decided"),
                ("def f(qubit a) { }", "`def` is decided"),
                ("if (c[0]) x q[0];", "`if` is decided"),
                ("reset q;", "`reset` is not supported"),
                ("const float t = 1;", "`const` makes a variable"),
                ("delay[1ns] q[0];", "`delay` is about time"),
                ("pow(0.5) @ h q[0];", "only rotations and phases have powers"),
                ("ctrl(0) @ x q[0];", "takes a number from 1 on"),
                ("ctrl @ x q[0];", "`x` takes 2 qubits, 1 given"),
                ("c = q;", "`measure` expected at `q`"),
                ("x $1;", "of registers and of the chip"),
                ("x $;", "`$` is not `$0` to `$255`"),
                ("qubit r; x $300;", "`$300` is not"),
                ("x q[0]; c[0] = measure q[0]; x q[0];", "after its measurement"),
                ("/* no end", "without its `*/`"),
                ("pow(1e300+0.5) @ rx(1e300) q[0];", "more than 1048576"),
                ("pow(1.5) @ rx(1.7e308) q[0];", "not finite"),
            ],
        ),
    ] {
        for (body, what) in cases {
            if what.is_empty() {
                read(&format!("{head}{body}"));
                continue;
            }
            let error = refused(&format!("{head}{body}"));
            assert!(error.what.contains(what), "{body}: {error}");
            assert_eq!(error.line, 5, "{body}: {error}");
        }
    }
    assert!(refused("qreg q[1];").what.contains("must be `OPENQASM 2.0;`"));
}

#[test]
fn definitions_that_grow_or_nest_without_end_are_refused_soon() {
    let chain = |body: &str, last: usize| {
        let mut text = format!("{TWO}gate g0 a {{ {body} }}\n");
        for i in 0..last {
            text += &format!("gate g{} a {{ g{i} a; g{i} a; }}\n", i + 1);
        }
        text
    };
    let start = Instant::now();
    for body in ["h a;", "", "barrier a;"] {
        assert!(
            refused(&format!("{}g60 q[0];", chain(body, 60))).what.contains("more than 1048576")
        );
        assert_eq!(
            read(&format!("{}g3 q[0];", chain(body, 60))).gates.len(),
            body.matches('h').count() * 8
        );
    }
    assert!(refused(&chain("h a;", 10_000)).what.contains("stand one in the other"));
    let power = "pow(1e15) @ ".repeat(3);
    assert!(refused(&format!("{THREE}{power}x q[0];")).what.contains("more than 1048576"));
    let many: Vec<String> = (0..40).map(|i| format!("r[{i}]")).collect();
    let controls = format!("{THREE}qubit[40] r; ctrl(39) @ x {};", many.join(","));
    assert!(refused(&controls).what.contains("more than 16 controls"));
    let controls = format!("{THREE}qubit[40] r; ctrl(15) @ x {};", many[..16].join(","));
    assert!(refused(&controls).what.contains("more than 1048576"));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_barrier_is_kept_where_it_stands_with_its_qubits() {
    let text = format!(
        "{TWO}qreg r[2];\nbarrier q[1],r;\nh q[0];\ngate f a,b {{ x a; barrier b,a; x b; }}\nf r[1],q[2];\n\
         barrier q[3];barrier q[4],q[4];\nz q[5];\nbarrier q;\nmeasure q -> c;\nbarrier r;"
    );
    let circuit = read(&text);
    let fences = [(0, vec![1, 6, 7]), (2, vec![2, 7]), (3, vec![3]), (3, vec![4])];
    assert_eq!(circuit.barriers, fences);
    for form in [Form::Table, Form::Two, Form::Three] {
        assert_eq!(read(&circuit.write_as(form)), circuit, "{form:?}");
    }
}

#[test]
fn registers_keep_their_names() {
    let circuit = read("OPENQASM 2.0;\nqreg q[3];creg a[2];creg b[3];measure q[1] -> b[2];");
    assert_eq!((circuit.bit(0), circuit.bit(4)), (("a", 0), ("b", 2)));
    assert_eq!(circuit.measures, [(1, 4)]);
    assert_eq!(Circuit { bits: 2, ..Circuit::default() }.bit(1), ("c", 1));
}
