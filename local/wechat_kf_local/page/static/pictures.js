// Choosing a picture to send: one of three samples, or a file.

import { h } from "./dom.js";
import { t } from "./i18n.js";

const SAMPLES = ["jacket", "tea", "parcel"];
const LIMIT = 2 * 1024 * 1024;
const TYPES = ["image/png", "image/jpeg", "image/gif"];

const dialog = document.getElementById("pictures");
const trouble = document.getElementById("picture-trouble");
let answer = () => {};

/** The chosen picture as a Blob, or null when none was chosen. */
export function choosePicture() {
  renderSamples();
  trouble.textContent = "";
  dialog.showModal();
  return new Promise((resolve) => {
    answer = resolve;
  });
}

export function start() {
  dialog.addEventListener("close", () => answer(null));
  const file = document.getElementById("picture-file");
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    file.value = "";
    if (chosen) take(chosen);
  });
}

function renderSamples() {
  const buttons = SAMPLES.map((name) => {
    const picture = h("img", { src: `/static/pictures/${name}.svg`, alt: "" });
    const choose = async () => take(await asPng(picture));
    return h("button", { type: "button", onclick: choose }, picture, t(`picture-${name}`));
  });
  document.getElementById("samples").replaceChildren(...buttons);
}

function take(picture) {
  if (picture.size > LIMIT || !TYPES.includes(picture.type)) {
    trouble.textContent = t("too-large");
    return;
  }
  answer(picture);
  dialog.close();
}

/** WeChat takes no SVG. */
async function asPng(picture) {
  await picture.decode();
  const canvas = h("canvas", { width: 480, height: 360 });
  canvas.getContext("2d").drawImage(picture, 0, 0, 480, 360);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** The bytes in base64, as JSON carries them. */
export function base64(picture) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result.split(",")[1]));
    reader.readAsDataURL(picture);
  });
}
