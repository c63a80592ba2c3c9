gate U(t,p,l) a { u(t,p,l) a; }
gate CX a,b { cx a,b; }
gate id a { }
gate u0(t) a { }
gate u1(t) a { p(t) a; }
gate u2(p,l) a { u(pi/2,p,l) a; }
gate u3(t,p,l) a { u(t,p,l) a; }
gate phase(t) a { p(t) a; }
gate sx a { gphase(pi/4); rx(pi/2) a; }
gate sxdg a { gphase(-pi/4); rx(-pi/2) a; }
gate swap a,b { cx a,b; cx b,a; cx a,b; }
gate rzz(t) a,b { cx a,b; rz(t) b; cx a,b; }
gate rxx(t) a,b { h a; h b; cx a,b; rz(t) b; cx a,b; h a; h b; }
gate ryy(t) a,b { rx(pi/2) a; rx(pi/2) b; cx a,b; rz(t) b; cx a,b; rx(-pi/2) a; rx(-pi/2) b; }
gate crx(t) a,b { h b; crz(t) a,b; h b; }
gate cry(t) a,b { ry(t/2) b; cx a,b; ry(-t/2) b; cx a,b; }
gate crz(t) a,b { rz(t/2) b; cx a,b; rz(-t/2) b; cx a,b; }
gate cy a,b { sdg b; cx a,b; s b; }
gate ch a,b { ry(-pi/4) b; cz a,b; ry(pi/4) b; }
gate cs a,b { cp(pi/2) a,b; }
gate csdg a,b { cp(-pi/2) a,b; }
gate ct a,b { cp(pi/4) a,b; }
gate ctdg a,b { cp(-pi/4) a,b; }
gate csx a,b { h b; cp(pi/2) a,b; h b; }
gate csxdg a,b { h b; cp(-pi/2) a,b; h b; }
gate cu1(t) a,b { cp(t) a,b; }
gate cphase(t) a,b { cp(t) a,b; }
gate cu3(t,p,l) a,b { p((l+p)/2) a; p((l-p)/2) b; cx a,b; u(-t/2,0,-(p+l)/2) b; cx a,b; u(t/2,p,0) b; }
gate cu(t,p,l,g) a,b { p(g) a; cu3(t,p,l) a,b; }
gate ccx a,b,c { h c; cx b,c; tdg c; cx a,c; t c; cx b,c; tdg c; cx a,c; t b; t c; h c; cx a,b; t a; tdg b; cx a,b; }
gate ccz a,b,c { h c; ccx a,b,c; h c; }
gate ccp(t) a,b,c { cp(t/2) b,c; cx a,b; cp(-t/2) b,c; cx a,b; cp(t/2) a,c; }
gate cswap a,b,c { cx c,b; ccx a,b,c; cx c,b; }
gate rccx a,b,c { h c; t c; cx b,c; tdg c; cx a,c; t c; cx b,c; tdg c; h c; }
gate rc3x a,b,c,d { h d; t d; cx c,d; tdg d; h d; cx a,d; t d; cx b,d; tdg d; cx a,d; t d; cx b,d; tdg d; h d; t d; cx c,d; tdg d; h d; }
gate rcccx a,b,c,d { rc3x a,b,c,d; }
gate cccx a,b,c,d { h d; p(pi/8) a; p(pi/8) b; p(pi/8) c; p(pi/8) d; cx a,b; p(-pi/8) b; cx a,b; cx b,c; p(-pi/8) c; cx a,c; p(pi/8) c; cx b,c; p(-pi/8) c; cx a,c; cx c,d; p(-pi/8) d; cx b,d; p(pi/8) d; cx c,d; p(-pi/8) d; cx a,d; p(pi/8) d; cx c,d; p(-pi/8) d; cx b,d; p(pi/8) d; cx c,d; p(-pi/8) d; cx a,d; h d; }
gate c3x a,b,c,d { cccx a,b,c,d; }
gate c3sqrtx a,b,c,d { h d; cp(pi/8) a,d; cx a,b; cp(-pi/8) b,d; cx a,b; cp(pi/8) b,d; cx b,c; cp(-pi/8) c,d; cx a,c; cp(pi/8) c,d; cx b,c; cp(-pi/8) c,d; cx a,c; cp(pi/8) c,d; h d; }
gate ccccx a,b,c,d,e { h e; cp(pi/2) d,e; h e; cccx a,b,c,d; h e; cp(-pi/2) d,e; h e; cccx a,b,c,d; c3sqrtx a,b,c,e; }
gate c4x a,b,c,d,e { ccccx a,b,c,d,e; }
