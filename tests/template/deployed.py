"""What the service makes of the translated template with given parameters: conditions are worked out, choices are
made, and what is not there is left out. No more of the language than the template uses."""

ACCOUNT = {"AWS::StackName": "photos", "AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::AccountId": "111122223333", "AWS::URLSuffix": "amazonaws.com"}
NOTHING = object()


class Deployment:
    def __init__(self, template, **parameters):
        self.template = template
        given = {name: p.get("Default", "x") for name, p in template["Parameters"].items()} | parameters
        self.parameters = {name: str(value) for name, value in given.items()}
        resources = {name: r for name, r in template["Resources"].items() if self.holds(r.get("Condition"))}
        self.resources = {name: self.chosen(r) for name, r in resources.items()}
        self.outputs = {name: self.chosen(o) for name, o in template["Outputs"].items() if self.holds(o.get("Condition"))}

    def holds(self, condition):
        """Whether a condition, or what it is made of, is true."""
        if condition is None:
            return True
        if isinstance(condition, str):
            return self.holds(self.template["Conditions"][condition])
        (kind, of), = condition.items()
        if kind == "Condition":
            return self.holds(of)
        if kind == "Fn::Equals":
            return self.plain(of[0]) == self.plain(of[1])
        if kind == "Fn::Contains":
            return self.plain(of[1]) in of[0]
        parts = [self.holds(part) for part in of]
        return {"Fn::And": all(parts), "Fn::Or": any(parts), "Fn::Not": not parts[0]}[kind]

    def plain(self, value):
        return self.parameters[value["Ref"]] if isinstance(value, dict) else value

    def refused(self):
        """What the rules say of these parameters."""
        for rule in self.template["Rules"].values():
            if self.holds(rule.get("RuleCondition")):
                yield from (a["AssertDescription"] for a in rule["Assertions"] if not self.holds(a["Assert"]))

    def chosen(self, value):
        """The value with every choice made."""
        if isinstance(value, dict):
            if set(value) == {"Fn::If"}:
                condition, then, otherwise = value["Fn::If"]
                return self.chosen(then if self.holds(condition) else otherwise)
            if value == {"Ref": "AWS::NoValue"}:
                return NOTHING
            made = {name: self.chosen(v) for name, v in value.items()}
            return {name: v for name, v in made.items() if v is not NOTHING}
        if isinstance(value, list):
            return [v for v in map(self.chosen, value) if v is not NOTHING]
        return value
