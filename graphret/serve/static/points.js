// Points in WebGL: a place and a colour each, drawn in one call; lines between some of them.
const VERTEX = `
attribute vec2 place; attribute vec4 colour; uniform vec2 middle; uniform vec2 scale; uniform float size; varying vec4 shade;
void main() { gl_Position = vec4((place - middle) * scale, 0.0, 1.0); gl_PointSize = size; shade = colour; }`;
const FRAGMENT = `
precision mediump float; varying vec4 shade; uniform bool round;
void main() {
  if (round && length(gl_PointCoord - 0.5) > 0.5) discard;
  gl_FragColor = vec4(shade.rgb * shade.a, shade.a);
}`;

export class Points {
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext('webgl', { antialias: false, preserveDrawingBuffer: true });
    if (!gl) throw new Error('this browser has no WebGL, which the map needs');
    this.gl = gl;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.at = Object.fromEntries(['middle', 'scale', 'size', 'round'].map((name) => [name, gl.getUniformLocation(program, name)]));
    this.inputs = ['place', 'colour'].map((name) => gl.getAttribLocation(program, name));
    for (const input of this.inputs) gl.enableVertexAttribArray(input);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.layers = { films: this.layer(), lines: this.layer(), chosen: this.layer() };
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
  }

  layer() {
    return { places: this.gl.createBuffer(), colours: this.gl.createBuffer(), n: 0 };
  }

  // Float32Array of x, y and Uint8Array of r, g, b, a for each point; null leaves what is there.
  fill(name, places, colours) {
    const { gl } = this;
    const layer = this.layers[name];
    for (const [buffer, data] of [[layer.places, places], [layer.colours, colours]]) {
      if (!data) continue;
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    }
    if (places) layer.n = places.length / 2;
    this.draw();
  }

  get scale() {
    const { width, height } = this.canvas;
    const side = 1.9 * Math.min(width, height) * this.view.zoom;
    return [side / width, side / height];
  }

  draw() {
    cancelAnimationFrame(this.turn);
    this.turn = requestAnimationFrame(() => this.paint());
  }

  paint() {
    const { gl, canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clearColor(0.055, 0.07, 0.086, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.at.middle, this.view.x, this.view.y);
    gl.uniform2f(this.at.scale, ...this.scale);
    const few = 3 * Math.sqrt(20000 / Math.max(this.layers.films.n, 200));
    const size = Math.min(14, Math.max(1.5, Math.min(few, 9) * Math.sqrt(this.view.zoom))) * ratio;
    this.put('films', gl.POINTS, size);
    this.put('lines', gl.LINES, 1);
    this.put('chosen', gl.POINTS, size + 6 * ratio);
  }

  put(name, mode, size) {
    const { gl } = this;
    const layer = this.layers[name];
    if (!layer.n) return;
    gl.uniform1f(this.at.size, size);
    gl.uniform1i(this.at.round, mode === gl.POINTS ? 1 : 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, layer.places);
    gl.vertexAttribPointer(this.inputs[0], 2, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, layer.colours);
    gl.vertexAttribPointer(this.inputs[1], 4, gl.UNSIGNED_BYTE, true, 0, 0);
    gl.drawArrays(mode, 0, layer.n);
  }

  // Where the pointer is, as x and y of the map.
  placeOf(event) {
    const frame = this.canvas.getBoundingClientRect();
    const [x, y] = [(2 * (event.clientX - frame.left)) / frame.width - 1, 1 - (2 * (event.clientY - frame.top)) / frame.height];
    const [across, up] = this.scale;
    return [this.view.x + x / across, this.view.y + y / up];
  }

  move(x, y) {
    const [across, up] = this.scale;
    this.view.x -= (2 * x) / (this.canvas.clientWidth * across);
    this.view.y += (2 * y) / (this.canvas.clientHeight * up);
    this.draw();
  }

  zoom(factor, [x, y] = [this.view.x, this.view.y]) {
    const after = Math.min(400, Math.max(0.5, this.view.zoom * factor));
    const left = this.view.zoom / after;
    Object.assign(this.view, { zoom: after, x: x + (this.view.x - x) * left, y: y + (this.view.y - y) * left });
    this.draw();
  }
}
