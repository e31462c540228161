// Says why the server sent the browser back here.
const asked = new URLSearchParams(location.search);
if (asked.has("wrong")) say("This is not the token.");
if (asked.has("wait")) say(`Too many wrong tokens came from here: wait ${Number(asked.get("wait")) + 1} s.`);

function say(text) {
  document.getElementById("wrong").textContent = text;
}
