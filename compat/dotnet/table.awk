# Makes the table of Microsoft's .NET libraries, in Markdown, from the lines of run.sh: which ways each library got through,
# with the authority named in the program and untouched, and what each way of checking tokens answered. Untouched APIs answer the same, or run.sh fails: they have no rows.
/^== / { untouched = /^== untouched/ }
/^(ok|FAIL)/ {
	right = $1 == "ok"
	name = substr($0, 6)
	sub(/  .*/, "", name)
	if (name ~ /^api untouched/) next
	if (sub(/^api (named )?/, "", name)) {
		split(name, api, ", ")
		if (!(api[1] in answers)) routes[++n_routes] = api[1]
		answers[api[1]] = answers[api[1]] (answers[api[1]] == "" ? "" : ", ") api[2] (right ? "" : " FAIL")
		next
	}
	if (untouched) {
		if (!(name in tried_untouched)) names_untouched[++n_untouched] = name
		tried_untouched[name]++
		passed_untouched[name] += right
		next
	}
	if (!(name in tried)) names[++n_names] = name
	tried[name]++
	passed[name] += right
}
END {
	print "| a client gets a token by | result |\n|---|---|"
	for (i = 1; i <= n_names; i++) print_row(names[i], passed[names[i]], tried[names[i]])
	if (n_untouched) print "\n| a client gets a token, untouched, by | result |\n|---|---|"
	for (i = 1; i <= n_untouched; i++) print_row(names_untouched[i], passed_untouched[names_untouched[i]], tried_untouched[names_untouched[i]])
	print "\n| an API checks tokens by | token: answer |\n|---|---|"
	for (i = 1; i <= n_routes; i++) print "| " routes[i] " | " answers[routes[i]] " |"
}

function print_row(name, passed, tried) {
	print "| " name " | " (passed == tried ? "ok" : "FAIL") (tried > 1 ? ", " passed " of " tried " platforms" : "") " |"
}
