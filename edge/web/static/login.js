// Says that the token was wrong, where the server sent the browser back for it.
if (location.search === "?wrong") {
  document.getElementById("wrong").textContent = "This is not the token.";
}
