var X=class o{x=0;y=0;scale=1;width=1;height=1;least=0;static most=40;static margin=24;fit(e){let t=Math.max(1,this.width-2*o.margin),n=Math.max(1,this.height-2*o.margin);this.x=(e.minX+e.maxX)/2,this.y=(e.minY+e.maxY)/2,this.scale=Math.min(o.most,t/Math.max(1,e.maxX-e.minX),n/Math.max(1,e.maxY-e.minY)),this.least=Math.min(this.least||1/0,this.scale/4)}show(e,t,n){this.x=e,this.y=t,this.scale=Math.max(this.least,Math.min(o.most,n))}zoom(e,t=this.width/2,n=this.height/2){let[s,r]=this.place(t,n);this.scale=Math.max(this.least,Math.min(o.most,this.scale*e)),this.x=s-(t-this.width/2)/this.scale,this.y=r+(n-this.height/2)/this.scale}pan(e,t){this.x-=e/this.scale,this.y+=t/this.scale}place(e,t){return[this.x+(e-this.width/2)/this.scale,this.y-(t-this.height/2)/this.scale]}since(e){let t=this.scale/e.scale;return{x:(1-t)*this.width/2+(e.x-this.x)*this.scale,y:(1-t)*this.height/2-(e.y-this.y)*this.scale,scale:t}}view(){let e=(this.width/2+20)/this.scale,t=(this.height/2+20)/this.scale;return{minX:this.x-e,minY:this.y-t,maxX:this.x+e,maxY:this.y+t}}};var l={car:0,truck:1,bus:2,tram:3,bicycle:4,pedestrian:5,line:6,ring:7},de={truck:l.truck,trailer:l.truck,delivery:l.truck,container:l.truck,bus:l.bus,coach:l.bus,tram:l.tram,rail_urban:l.tram,rail:l.tram,rail_electric:l.tram,rail_fast:l.tram,subway:l.tram,cable_car:l.tram,bicycle:l.bicycle,moped:l.bicycle,motorcycle:l.bicycle,scooter:l.bicycle,pedestrian:l.pedestrian,wheelchair:l.pedestrian};var J=o=>`rgb(${o&255} ${o>>8&255} ${o>>16&255})`,A=12,S=512,V=class{numbers=new Float32Array(0);colours=new Uint32Array(0);count=0;reserve(e){this.numbers.length<e*A&&(this.numbers=new Float32Array(Math.ceil(e*1.25/S)*S*A),this.colours=new Uint32Array(this.numbers.buffer))}};var D=64,E=3,$=96,L=$,ae=2e4,Y=class{constructor(e){this.context=e}context;image;words=new Uint32Array(0);sprites=new Map;colours=new Map;halo="";begin(e){let{width:t,height:n}=this.context.canvas,[s,r]=[t+2*L,n+2*L];this.image?.width!==s||this.image.height!==r?(this.image=new ImageData(s,r),this.words=new Uint32Array(this.image.data.buffer),this.sprites.clear()):this.words.fill(0),(e!==this.halo||this.sprites.size>ae)&&(this.sprites.clear(),this.colours.clear(),this.halo=e)}draw(e,t,n,s,r,i,a){let{words:h}=this,{width:c,height:m}=this.context.canvas,x=c+2*L,d=s.numbers,p=e.scale*n,[u,g]=[c/2-(e.x-t[0])*p,m/2+(e.y-t[1])*p],C=[];for(let M=0,f=0;M<s.count;M++,f+=A){let y=d[f+8],b=y===l.line,v=Math.round(Math.max(d[f+6]*p,(b?2:y===l.pedestrian?a:i)*n)),w=Math.round(Math.max(d[f+7]*p,(b?2:a)*n)),k=(d[f+4]+r*d[f+5])*D/360,T=(Math.round(k)%D+D)%D,_=T*2*Math.PI/D,G=y>l.bicycle?0:v/2,P=u+(d[f]+r*d[f+2])*p-G*Math.sin(_),R=g-(d[f+1]+r*d[f+3])*p+G*Math.cos(_),I=(Math.max(v,w)>>1)+2*n+2;if(P<-I||R<-I||P>c+I||R>m+I)continue;if(I>$/2){C.push(M);continue}let[W,F]=[Math.floor(P),Math.floor(R)],U=Math.floor((P-W)*E)*E+Math.floor((R-F)*E),q=y===l.pedestrian?1:b?2:0,B=((((this.numberOf(s.colours[f+9])*3+q)*$+v)*$+w)*D+T)*E*E+U,O=this.sprites.get(B);O||(O=this.make({length:v,width:w,rim:b?0:n,shape:y},s.colours[f+9],_,(Math.floor(U/E)+.5)/E,(U%E+.5)/E,x),this.sprites.set(B,O));let{offsets:ee,pixels:ie}=O,oe=(F+L)*x+W+L;for(let z=0;z<ee.length;z++){let te=ie[z],ne=oe+ee[z];(te>>>24>200||h[ne]===0)&&(h[ne]=te)}}return C}end(){this.context.putImageData(this.image,-L,-L)}numberOf(e){let t=this.colours.get(e);return t===void 0&&this.colours.set(e,t=this.colours.size),t}make({length:e,width:t,rim:n,shape:s},r,i,a,h,c){let m=Number.parseInt(this.halo.slice(1),16),x=[m>>16,m>>8&255,m&255],d=[r&255,r>>8&255,r>>16&255],[p,u]=[e/2,t/2],g=Math.ceil(Math.max(p,u)+n+1),[C,M]=[Math.sin(i),Math.cos(i)],f=[],y=[];for(let b=-g;b<=g;b++)for(let v=-g;v<=g;v++){let[w,k]=[v+.5-a,b+.5-h],T=w*C-k*M,_=Math.abs(w*M+k*C),G=u*(s===l.line?1:.25+.75*Math.min(1,(p-T)/(4*u))),P=s===l.pedestrian?Math.hypot(w,k)-u:Math.max(_-G,Math.abs(T)-p),R=Math.min(1,Math.max(0,.5+n-P));if(R<.05)continue;let I=Math.min(1,Math.max(0,.5-P)),[W,F,U]=d.map((q,B)=>Math.round(x[B]+(q-x[B])*I));f.push(b*c+v),y.push((Math.round(255*R)<<24|U<<16|F<<8|W)>>>0)}return{offsets:Int32Array.from(f),pixels:Uint32Array.from(y)}}};var K=o=>Math.min(7,3+8*o),N=3.2,he=`#version 300 es
precision highp float;
precision highp usampler2D;
uniform usampler2D things;
uniform vec4 view; // the camera's x and y from the middle, pixels of the canvas per metre, share of the way to the next frame
uniform vec4 screen; // width and height in pixels of the canvas, those of the canvas for each of the page, least length
out vec2 at;
out vec2 half_;
flat out float shape;
flat out vec4 colour;
void main() {
	int thing = gl_VertexID / 6;
	int point = gl_VertexID % 6;
	if (point > 2) point -= 2; // two triangles share their points 1 and 2
	vec2 corner = vec2(point & 1, point >> 1) * 2.0 - 1.0;
	ivec2 first = ivec2(3 * (thing % ${S}), thing / ${S});
	vec4 place = uintBitsToFloat(texelFetch(things, first, 0));
	vec4 sized = uintBitsToFloat(texelFetch(things, first + ivec2(1, 0), 0));
	uvec4 last = texelFetch(things, first + ivec2(2, 0), 0);
	vec2 angle = sized.xy;
	vec3 form = vec3(sized.zw, uintBitsToFloat(last.x));
	float a = radians(angle.x + view.w * angle.y);
	vec2 ahead = vec2(sin(a), cos(a));
	shape = form.z;
	bool line = shape > 5.5;
	float length_ = max(form.x * view.z, (line ? 2.0 : shape > 4.5 ? ${N} : screen.w) * screen.z);
	float width = max(form.y * view.z, (line ? 2.0 : ${N}) * screen.z);
	half_ = 0.5 * (shape > 6.5 ? form.yx * screen.z : vec2(width, length_)); // a ring has the same size at all scales
	at = corner * (half_ + 1.5 * screen.z);
	vec2 front = (place.xy + view.w * place.zw - view.xy) * view.z;
	vec2 middle = shape > 4.5 ? front : front - ahead * half_.y; // x and y are of the front
	vec2 p = middle + ahead * at.y + vec2(ahead.y, -ahead.x) * at.x;
	gl_Position = vec4(2.0 * p / screen.xy, 0.0, 1.0);
	colour = vec4(last.y & 255u, (last.y >> 8) & 255u, (last.y >> 16) & 255u, 255u) / 255.0;
}`,ce=`#version 300 es
precision mediump float;
in vec2 at;
in vec2 half_;
flat in float shape;
flat in vec4 colour;
uniform vec4 halo;
uniform float ratio; // pixels of the canvas for each of the page
out vec4 out_;
float box(vec2 p, vec2 b, float r) {
	vec2 q = abs(p) - b + r;
	return length(max(q, 0.0)) + min(max(q.x, q.y), 0.0) - r;
}
void main() {
	vec2 p = at;
	float d;
	float glass = 0.0;
	if (shape > 6.5) d = abs(length(p) - half_.x + ratio) - ratio;
	else if (shape > 5.5) d = box(p, half_, 0.0);
	else if (shape > 4.5) d = length(p) - half_.x;
	else {
		float along = p.y / half_.y; // 1 at the front
		float small = 1.0 - smoothstep(3.0, 7.0, half_.x / ratio); // from far, an arrow shows where it goes
		float narrow = shape > 3.5 ? 0.7 : shape > 2.5 ? 0.15 : shape > 0.5 ? 0.1 : 0.25;
		float widths = (half_.y - p.y) / half_.x; // from the front
		float taper = 1.0 - mix(narrow * smoothstep(0.3, 1.0, along), 0.75 * (1.0 - smoothstep(0.0, 4.0, widths)), small);
		if (shape > 2.5 && shape < 3.5) taper *= 1.0 - 0.3 * smoothstep(0.9, 1.0, -along);
		vec2 b = vec2(half_.x * taper, half_.y);
		d = box(p, b, min(b.x, half_.x * (shape > 0.5 && shape < 2.5 ? 0.25 : 0.5)));
		if (shape < 3.5) {
			float front = shape > 0.5 ? 1.0 - 0.9 * half_.x / half_.y : 0.35;
			glass = (1.0 - small) * smoothstep(0.0, 0.06, along - front) * (1.0 - smoothstep(0.1, 0.16, along - front)) * 0.55;
			if (shape > 0.5 && shape < 1.5) glass = max(glass, (1.0 - small) * (1.0 - smoothstep(0.0, 0.03, abs(along - front + 0.1))) * 0.6);
		}
	}
	float edge = shape > 5.5 ? 0.0 : ratio;
	float inside = clamp(0.5 - d, 0.0, 1.0);
	float rim = clamp(0.5 + edge - d, 0.0, 1.0);
	vec3 body = mix(colour.rgb, vec3(0.06, 0.09, 0.13), glass);
	out_ = vec4(mix(halo.rgb, body, inside) * rim, rim);
	if (rim <= 0.0) discard;
}`,le=`#version 300 es
precision mediump float;
in vec2 at;
in vec2 half_;
flat in float shape;
flat in vec4 colour;
uniform vec4 halo;
uniform float ratio;
out vec4 out_;
void main() {
	float wide = half_.x * (0.25 + 0.75 * min(1.0, (half_.y - at.y) / (4.0 * half_.x)));
	float d = max(abs(at.x) - wide, abs(at.y) - half_.y);
	float rim = clamp(0.5 + ratio - d, 0.0, 1.0);
	out_ = vec4(mix(halo.rgb, colour.rgb, clamp(0.5 - d, 0.0, 1.0)) * rim, rim);
}`,Q=3;var H=class{constructor(e){this.canvas=e;let t=e.getContext("webgl2",{antialias:!1,depth:!1,stencil:!1,premultipliedAlpha:!0,powerPreference:"high-performance"});if(!t)throw new Error("no WebGL2");this.gl=t,this.detailed=this.link(ce),this.arrows=this.link(le),t.enable(t.BLEND),t.blendFunc(t.ONE,t.ONE_MINUS_SRC_ALPHA)}canvas;kind="webgl";gl;detailed;arrows;textures=new Map;link(e){let{gl:t}=this,n=t.createProgram();for(let[r,i]of[[t.VERTEX_SHADER,he],[t.FRAGMENT_SHADER,e]]){let a=t.createShader(r);t.shaderSource(a,i),t.compileShader(a),t.attachShader(n,a)}if(t.linkProgram(n),!t.getProgramParameter(n,t.LINK_STATUS))throw new Error(`WebGL2: ${t.getProgramInfoLog(n)}`);let s=r=>t.getUniformLocation(n,r);return{program:n,at:{view:s("view"),screen:s("screen"),halo:s("halo"),ratio:s("ratio")}}}draw(e,t,n,s,r){let{gl:i,canvas:a}=this,h=Number.parseInt(s.slice(1),16);i.viewport(0,0,a.width,a.height),i.clearColor(0,0,0,0),i.clear(i.COLOR_BUFFER_BIT);for(let{of:c,share:m,version:x,vehicles:d}of r){if(c.count===0)continue;let{program:p,at:u}=d&&e.scale<Q?this.arrows:this.detailed;i.useProgram(p),i.uniform4f(u.screen,a.width,a.height,n,K(e.scale)),i.uniform4f(u.halo,(h>>16)/255,(h>>8&255)/255,(h&255)/255,1),i.uniform1f(u.ratio,n),i.uniform4f(u.view,e.x-t[0],e.y-t[1],e.scale*n,m),this.bind(c,x),i.drawArrays(i.TRIANGLES,0,6*c.count)}}bind(e,t){let{gl:n}=this,s=this.textures.get(e);if(s||this.textures.set(e,s={texture:n.createTexture(),rows:0,version:-1}),n.bindTexture(n.TEXTURE_2D,s.texture),s.version===t)return;s.version=t;let r=3*S,i=Math.ceil(e.count/S);s.rows<i&&(s.rows=e.numbers.length/(4*r),n.texImage2D(n.TEXTURE_2D,0,n.RGBA32UI,r,s.rows,0,n.RGBA_INTEGER,n.UNSIGNED_INT,null),n.texParameteri(n.TEXTURE_2D,n.TEXTURE_MIN_FILTER,n.NEAREST),n.texParameteri(n.TEXTURE_2D,n.TEXTURE_MAG_FILTER,n.NEAREST)),n.texSubImage2D(n.TEXTURE_2D,0,0,0,r,i,n.RGBA_INTEGER,n.UNSIGNED_INT,e.colours)}};var j=class{constructor(e){this.canvas=e;this.context=e.getContext("2d",{willReadFrequently:!0}),this.board=new Y(this.context)}canvas;kind="canvas";context;board;draw(e,t,n,s,r){let{context:i}=this;i.setTransform(n,0,0,n,0,0);let a=e.scale<Q,h=new Map;if(a){this.board.begin(s);for(let{of:c,share:m}of r)c.count>0&&c.numbers[8]!==l.ring&&h.set(c,this.board.draw(e,t,n,c,m,K(e.scale),N));this.board.end()}else i.clearRect(0,0,e.width,e.height);for(let{of:c,share:m}of r)c.count!==0&&(c.numbers[8]===l.ring?this.rings(e,t,c):this.fill(e,t,s,c,m,h.get(c)))}fill(e,t,n,s,r,i){let{context:a}=this,h=new Map,c=new Path2D;if(i)for(let m of i)this.trace(e,t,s,m*A,r,h,c);else for(let m=0;m<s.count;m++)this.trace(e,t,s,m*A,r,h,c);a.strokeStyle=n,a.lineWidth=2,a.lineJoin="round",a.stroke(c);for(let[m,x]of h)a.fillStyle=J(m),a.fill(x)}rings(e,t,n){let{context:s}=this;s.lineWidth=2;for(let r=0,i=0;r<n.count;r++,i+=A){let a=(n.numbers[i]+t[0]-e.x)*e.scale+e.width/2,h=e.height/2-(n.numbers[i+1]+t[1]-e.y)*e.scale;s.strokeStyle=J(n.colours[i+9]),s.beginPath(),s.arc(a,h,n.numbers[i+6]/2,0,2*Math.PI),s.stroke()}}trace(e,t,n,s,r,i,a){let h=n.numbers,{scale:c}=e,m=(h[s]+r*h[s+2]+t[0]-e.x)*c+e.width/2,x=e.height/2-(h[s+1]+r*h[s+3]+t[1]-e.y)*c,d=h[s+8],p=d===l.line,u=Math.max(h[s+6]*c,p?2:K(c));if(m<-u||x<-u||m>e.width+u||x>e.height+u)return;let g=Math.max(h[s+7]*c,p?2:N)/2,C=n.colours[s+9],M=i.get(C);M||i.set(C,M=new Path2D);let f=(h[s+4]+r*h[s+5])*Math.PI/180,[y,b]=[Math.sin(f),-Math.cos(f)],v=w=>{if(d===l.pedestrian){w.moveTo(m+g,x),w.arc(m,x,g,0,2*Math.PI);return}let[k,T]=p?[m+y*u/2,x+b*u/2]:[m,x],_=p?g:g<3||d===l.bicycle?g*.2:g*.75;w.moveTo(k-b*_,T+y*_),w.lineTo(k+b*_,T-y*_),w.lineTo(k-y*u+b*g,T-b*u-y*g),w.lineTo(k-y*u-b*g,T-b*u+y*g),w.closePath()};v(M),p||v(a)}};function se(o,e){try{if(e==="webgl")return new H(o)}catch{}return new j(o)}var Z=new Map,re=new X;onmessage=({data:o})=>{let{of:e}=o;if(!("camera"in o))return void Z.delete(e);let t=Z.get(e);t||Z.set(e,t={painter:se(new OffscreenCanvas(o.width,o.height),o.kind),things:o.things.map(()=>new V)});let{painter:n,things:s}=t,r=n.canvas;(r.width!==o.width||r.height!==o.height)&&([r.width,r.height]=[o.width,o.height]);for(let{n:a,count:h,numbers:c}of o.changed)s[a].reserve(h),s[a].numbers.set(c),s[a].count=h;Object.assign(re,o.camera),n.draw(re,o.middle,o.ratio,o.halo,o.things.map((a,h)=>({...a,of:s[h]})));let i=r.transferToImageBitmap();postMessage({of:e,kind:n.kind,camera:o.camera,picture:i},{transfer:[i]})};
